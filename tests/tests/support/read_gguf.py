"""Reads a GGUF file, and one it was quantised from, with llama.cpp's Python package: a line of JSON for each tensor, with
the mean square of its difference over that of the original."""

import json
import sys

import numpy
from gguf import GGUFReader, dequantize

made, original = (GGUFReader(path) for path in sys.argv[1:3])
for a, b in zip(made.tensors, original.tensors, strict=True):
    x, y = (dequantize(t.data, t.tensor_type).astype(numpy.float64).ravel() for t in (a, b))
    assert x.shape == y.shape, a.name
    nmse = float(((x - y) ** 2).mean() / (y**2).mean())
    print(json.dumps({"name": a.name, "type": a.tensor_type.name, "shape": a.shape.tolist(), "nmse": nmse}))
kept = {key: field.contents() for key, field in made.fields.items() if key.startswith("general.")}
print(json.dumps(kept))
