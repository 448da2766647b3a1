"""Blocks of stored types that no program here writes, and the weights that PyPI's `gguf` 0.19.0 (numpy 2) reads from them.

NAME.blocks: random blocks as files have them, every code of the type's codebook among them. NAME.f32: their weights, 32-bit
floats, little-endian. `python make.py` writes both beside this file.
"""

from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np
from gguf.quants import dequantize

HERE = Path(__file__).parent
assert version("gguf") == "0.19.0"


def halves(random, blocks, size):
    """Scales of either sign, as bytes; one in eight denormal."""
    d = random.uniform(-size, size, (blocks, 1))
    d[::8] = random.uniform(-6e-5, 6e-5, d[::8].shape)
    return d.astype("<f2").view(np.uint8)


def codes(random, blocks, each, count):
    """All codes below `count`, in a random order, and others until there are `each` in every block."""
    all = np.concatenate([random.permutation(count), random.integers(0, count, blocks * each - count)])
    return all.reshape(blocks, each).astype(np.uint16)


def some(random, *shape):
    return random.integers(0, 256, shape, dtype=np.uint8)


def fields(values, bits):
    """Fields of `bits` bits, the first lowest, as bytes."""
    places = np.arange(8 // bits) * bits
    return (values.reshape(len(values), -1, 8 // bits) << places).sum(2).astype(np.uint8)


def iq2_xxs(random, blocks=8):
    rest = some(random, blocks, 8, 4)
    groups = np.concatenate([codes(random, blocks, 32, 256).reshape(blocks, 8, 4).astype(np.uint8), rest], axis=2)
    return [halves(random, blocks, 0.005), groups.reshape(blocks, 64)]


def iq2_xs(random, blocks=16):
    quants = codes(random, blocks, 32, 512) | random.integers(0, 128, (blocks, 32)).astype(np.uint16) << 9
    return [halves(random, blocks, 0.005), quants.astype("<u2").view(np.uint8), some(random, blocks, 8)]


def iq2_s(random, blocks=32):
    quants = codes(random, blocks, 32, 1024)
    low, high = (quants & 255).astype(np.uint8), fields(quants >> 8, 2)
    return [halves(random, blocks, 0.005), low, some(random, blocks, 32), high, some(random, blocks, 8)]


def iq3_xxs(random, blocks=8):
    quants = codes(random, blocks, 64, 256).astype(np.uint8)
    return [halves(random, blocks, 0.002), quants, some(random, blocks, 32)]


def iq1_s(random, blocks=64):
    quants = codes(random, blocks, 32, 2048)
    high = ((quants >> 8).reshape(blocks, 8, 4) << np.array([0, 3, 6, 9])).sum(2)
    high |= random.integers(0, 16, (blocks, 8)) << 12
    return [halves(random, blocks, 0.03), (quants & 255).astype(np.uint8), high.astype("<u2").view(np.uint8)]


def iq1_m(random, blocks=64):
    quants = codes(random, blocks, 32, 2048)
    high = fields(quants >> 8 | random.integers(0, 2, (blocks, 32)) << 3, 4)
    d = halves(random, blocks, 0.03).view("<u2")
    scales = random.integers(0, 4096, (blocks, 4)) | (d >> np.array([0, 4, 8, 12]) & 15) << 12
    return [(quants & 255).astype(np.uint8), high, scales.astype("<u2").view(np.uint8)]


def nvfp4(random, blocks=64):
    return [random.permutation(256).reshape(blocks, 4).astype(np.uint8), some(random, blocks, 32)]


for make in (iq1_m, iq1_s, iq2_s, iq2_xs, iq2_xxs, iq3_xxs, nvfp4):
    name = make.__name__.upper()
    blocks = np.concatenate(make(np.random.default_rng(25)), axis=1)
    weights = dequantize(blocks, gguf.GGMLQuantizationType[name])
    assert np.isfinite(weights).all()
    (HERE / f"{name}.blocks").write_bytes(blocks.tobytes())
    (HERE / f"{name}.f32").write_bytes(weights.astype("<f4").tobytes())
