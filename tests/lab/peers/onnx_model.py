"""A GGUF file of the family `llama` as an ONNX file with the operators that ONNX Runtime's own model builder uses:
`onnx_model.py MODEL.gguf OUT.onnx`. Matrices are MatMulNBits of 4 bits, the head of 8, in symmetric blocks of 32; what
is computed is in 32-bit floats. Only the last token gets logits. Needs PyPI's numpy, onnx and gguf."""

import sys

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize
from onnx import TensorProto, helper, numpy_helper, save

BLOCK = 32
ORT = "com.microsoft"


def quantized(weight, bits):
    """Codes (rows, blocks, bytes) of a matrix (rows, columns), and for each block the scale with the least error."""
    rows, columns = weight.shape
    blocks = weight.reshape(rows, columns // BLOCK, BLOCK)
    zero = 1 << (bits - 1)
    extreme = np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)
    best = np.full(extreme.shape, np.inf, np.float32)
    scale, codes = np.zeros_like(extreme), np.zeros(blocks.shape, np.uint8)
    for steps in np.linspace(-zero - 1, -zero + 1.5, 11):
        tried = np.where(extreme == 0, 1, extreme / steps).astype(np.float32)
        rounded = np.clip(np.rint(blocks / tried), -zero, zero - 1)
        error = ((rounded * tried - blocks) ** 2).sum(-1, keepdims=True)
        better = error < best
        best = np.where(better, error, best)
        scale = np.where(better, tried, scale)
        codes = np.where(better, (rounded + zero).astype(np.uint8), codes)
    if bits == 4:
        codes = codes[..., 0::2] | codes[..., 1::2] << 4
    return codes, scale.reshape(-1)


class Graph:
    """Nodes and constants as they are added; every method gives the name of what it made."""

    def __init__(self, path):
        reader = GGUFReader(path)
        self.weights = {tensor.name: tensor for tensor in reader.tensors}
        self.fields = {name: field for name, field in reader.fields.items()}
        self.nodes, self.constants = [], []

    def number(self, key):
        return self.fields[f"llama.{key}"].contents()

    def weight(self, name):
        tensor = self.weights[name]
        weight = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if not name.endswith(("attn_q.weight", "attn_k.weight")):
            return weight
        # A GGUF file has rows that rotate together side by side; here they lie half a head apart.
        pairs = weight.reshape(-1, self.number("rope.dimension_count") // 2, 2, weight.shape[1])
        return pairs.swapaxes(1, 2).reshape(weight.shape)

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind, inputs, name, outputs=None, **attributes):
        outputs = outputs or [name]
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=name, **attributes))
        return outputs[0]

    def matmul(self, x, name, weights, bits=4):
        weight = np.concatenate([self.weight(part) for part in weights])
        codes, scales = quantized(weight, bits)
        inputs = [x, self.constant(f"{name}.codes", codes), self.constant(f"{name}.scales", scales)]
        rows, columns = weight.shape
        return self.node(
            "MatMulNBits", inputs, name, domain=ORT, K=columns, N=rows, bits=bits, block_size=BLOCK, accuracy_level=4
        )

    def add_and_norm(self, x, residual, name, weight):
        """The norm of the sum of two, and that sum."""
        inputs = [x, residual, self.constant(weight, self.weight(weight))]
        outputs = [name, "", "", f"{name}.sum"]
        epsilon = self.number("attention.layer_norm_rms_epsilon")
        self.node("SkipSimplifiedLayerNormalization", inputs, name, outputs, domain=ORT, epsilon=epsilon)
        return name, f"{name}.sum"


def layer(graph, index, x, residual):
    """A layer, from the sum that comes in as two; so are its results."""
    weight = lambda name: f"blk.{index}.{name}.weight"
    name = lambda part: f"layer{index}.{part}"
    if residual is None:
        norm = graph.constant(weight("attn_norm"), graph.weight(weight("attn_norm")))
        epsilon = graph.number("attention.layer_norm_rms_epsilon")
        kind = "SimplifiedLayerNormalization"
        normed = graph.node(kind, [x, norm], name("attn_norm"), axis=-1, stash_type=1, epsilon=epsilon)
        residual = x
    else:
        normed, residual = graph.add_and_norm(x, residual, name("attn_norm"), weight("attn_norm"))
    qkv = graph.matmul(normed, name("qkv"), [weight(f"attn_{part}") for part in "qkv"])
    cache = [f"past_key_values.{index}.key", f"past_key_values.{index}.value"]
    graph.node(
        "GroupQueryAttention",
        [qkv, "", "", *cache, "seqlens_k", "total_sequence_length", "cos_cache", "sin_cache"],
        name("attention"),
        [name("attention"), f"present.{index}.key", f"present.{index}.value"],
        domain=ORT,
        num_heads=graph.number("attention.head_count"),
        kv_num_heads=graph.number("attention.head_count_kv"),
        do_rotary=1,
    )
    attended = graph.matmul(name("attention"), name("o"), [weight("attn_output")])
    normed, residual = graph.add_and_norm(attended, residual, name("ffn_norm"), weight("ffn_norm"))
    gate = graph.matmul(normed, name("gate"), [weight("ffn_gate")])
    up = graph.matmul(normed, name("up"), [weight("ffn_up")])
    silu = graph.node("Mul", [gate, graph.node("Sigmoid", [gate], name("sigmoid"))], name("silu"))
    product = graph.node("Mul", [silu, up], name("product"))
    return graph.matmul(product, name("down"), [weight("ffn_down")]), residual


def rotary_caches(graph):
    dim = graph.number("rope.dimension_count")
    positions = np.arange(min(graph.number("context_length"), 4096), dtype=np.float64)
    angles = np.outer(positions, graph.number("rope.freq_base") ** -(np.arange(0, dim, 2) / dim))
    graph.constant("cos_cache", np.cos(angles).astype(np.float32))
    graph.constant("sin_cache", np.sin(angles).astype(np.float32))


def model(graph):
    rotary_caches(graph)
    layers, heads = graph.number("block_count"), graph.number("attention.head_count_kv")
    dim = graph.number("embedding_length") // graph.number("attention.head_count")
    table = graph.constant("embeddings", graph.weight("token_embd.weight"))
    x, residual = graph.node("Gather", [table, "input_ids"], "embedded"), None
    for index in range(layers):
        x, residual = layer(graph, index, x, residual)
    normed, _ = graph.add_and_norm(x, residual, "output_norm", "output_norm.weight")
    last = graph.node("Gather", [normed, graph.constant("last", np.array([-1], np.int64))], "last_row", axis=1)
    head = "output.weight" if "output.weight" in graph.weights else "token_embd.weight"
    graph.matmul(last, "logits", [head], bits=8)
    value = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, shape)
    caches = lambda name, length: [
        value(f"{name}.{index}.{part}", TensorProto.FLOAT, ["batch", heads, length, dim])
        for index in range(layers)
        for part in ("key", "value")
    ]
    inputs = [
        value("input_ids", TensorProto.INT64, ["batch", "tokens"]),
        value("seqlens_k", TensorProto.INT32, ["batch"]),
        value("total_sequence_length", TensorProto.INT32, []),
        *caches("past_key_values", "past"),
    ]
    vocab_size = int(graph.weights[head].shape[1])
    outputs = [value("logits", TensorProto.FLOAT, ["batch", 1, vocab_size]), *caches("present", "total")]
    body = helper.make_graph(graph.nodes, "llama", inputs, outputs, graph.constants)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(ORT, 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=10, producer_name="lantern-peers")


if __name__ == "__main__":
    source, target = sys.argv[1:]
    save(model(Graph(source)), target)
