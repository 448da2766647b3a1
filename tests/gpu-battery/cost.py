"""A model of what dispatches cost on an H200, held against what was measured there at 94f3cba, and what it says of today's plans.

    python3 tests/gpu-battery/cost.py > tests/results/h200-prediction.md

Seven numbers are fitted to the profiles in tests/results/nvidia-h200*.bench.json; the ceilings are measured ones.
"""

import json
import math
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "results"

# Fitted: what a dispatch takes beside its work; the share of the read ceiling that matvec reaches, and what 32 columns of each
# of its 32 lanes take at least, one after the other; a step of 32 positions of attention where a core has few workgroups, and
# for each workgroup of heads of 64 where it has many; the operations a second of matmul's tiles, and how many workgroups it
# takes to come near.
DISPATCH = 8e-6
MATVEC_SHARE = 0.28
MATVEC_TURN = 2e-6
STEP = 7.5e-6
STEP_EACH = 0.4e-6
TILES = 23e12
TILES_WORKGROUPS = 150
# Of the hardware: cores. Of the engine: tokens of a pass.
CORES = 132
PASS = 256
# Assumed of kernels that never ran there. matvec whose lanes read activations in the order of memory: a turn is 4,096 columns
# of 128 lanes and eight rows, takes half as long again, and without the reads that took 32 cycles each 60 % of the read
# ceiling are in reach (a warp's turn of four rows took 540 to 635 cycles, and needs 177 to read). Matrices by wgpu do 2.1 times what tiles do (cmf, on an RTX 5090: 51.9 against 25.0
# TFLOP/s), and attention in tiles a third of what plain tiles of matmul do.
STAGED_SHARE = 0.6
STAGED_TURN = 3e-6
MATRICES = 2.1 * TILES
ATTENTION_TILES = TILES / 3

# name, file, layers, dim, query heads, key heads, head_dim, ffn, query heads a workgroup has, bytes of a weight, head's bytes
MODELS = [
    ("SmolLM2-135M Q4_1", "nvidia-h200", 30, 576, 9, 3, 64, 1536, 3, 0.625, 30.1e6),
    ("llama-1b:q4_k", "nvidia-h200-llama-1b", 16, 2048, 32, 8, 64, 8192, 2, 0.5625, 147.8e6),
    ("llama-8b:q4_k", "nvidia-h200-llama-8b", 32, 4096, 32, 8, 128, 14336, 1, 0.5625, 295.5e6),
]


class Model:
    def __init__(self, row, read):
        (self.name, self.file, self.layers, self.dim, self.heads, self.kv_heads, self.head_dim, ffn, self.together,
         self.weight, self.head) = row
        self.read = read
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        self.matrices = [(q + 2 * kv, self.dim), (self.dim, q), (2 * ffn, self.dim), (self.dim, ffn)]  # rows, columns

    def matvec(self, size, cols, today):
        if today and cols >= 2048:
            columns = 4096 if cols >= 4096 else 2048
            return DISPATCH + max(math.ceil(cols / columns) * STAGED_TURN, size / (STAGED_SHARE * self.read))
        return DISPATCH + max(math.ceil(cols / 1024) * MATVEC_TURN, size / (MATVEC_SHARE * self.read))

    def decode(self, depth, splits, today):
        layer = sum(self.matvec(rows * cols * self.weight, cols, today) for rows, cols in self.matrices) + DISPATCH  # RoPE
        parts = splits if depth >= 512 else 1
        steps = math.ceil(max(depth, 1) / parts / 32)
        layer += steps * STEP + (DISPATCH if parts > 1 else 0)
        return self.layers * layer + self.matvec(self.head, self.dim, today)

    def matmul(self, rows, cols, tokens, rate):
        workgroups = math.ceil(rows / 64) * math.ceil(tokens / 64)
        return DISPATCH + 2 * rows * cols * tokens / (rate * (1 - math.exp(-workgroups / TILES_WORKGROUPS)))

    def prefill(self, tokens, depth, today):
        starts = range(0, tokens, PASS)
        passes = sum(self.prefill_pass(min(PASS, tokens - start), depth + start, today) for start in starts)
        return passes + self.matvec(self.head, self.dim, today)

    def prefill_pass(self, tokens, depth, today):
        rate = MATRICES if today else TILES
        layer = sum(self.matmul(rows, cols, tokens, rate) for rows, cols in self.matrices) + 4 * DISPATCH
        positions = depth + tokens / 2
        if today:
            layer += DISPATCH + 4 * self.heads * self.head_dim * tokens * positions / ATTENTION_TILES
        else:
            workgroups = self.heads / self.together * tokens / CORES
            step = max(STEP, workgroups * STEP_EACH * (1 + self.head_dim / 64) / 2)
            layer += positions / 32 * step
        return self.layers * layer


def splits(model):
    return min(64, max(4, math.ceil(512 / (model.heads / model.together))))


def main():
    print("# What an H200 should do\n")
    print("Made by `tests/gpu-battery/cost.py`, which has the model of cost. The left half holds it against what was\n"
          "measured at 94f3cba; the right half is a prediction for today's plans (activations in order, matrices for prompts,\n"
          "attention in tiles, shares by workgroups), to be held against the next visit.\n")
    print("| model | test | depth | measured, tokens/s | model | off by | today, predicted |")
    print("|---|---|---|---|---|---|---|")
    worst = 0
    for row in MODELS:
        result = json.loads((RESULTS / f"{row[1]}.bench.json").read_text())
        model = Model(row, result["ceilings"]["read_bytes_per_second"])
        for measured in result["rows"]:
            count, depth = int(measured["test"][2:]), measured["depth"]
            if measured["test"].startswith("pp"):
                before, after = (count / model.prefill(count, depth, today) for today in (False, True))
            else:
                before = 1 / model.decode(depth + count // 2, 4, False)
                after = 1 / model.decode(depth + count // 2, splits(model), True)
            real = measured["tokens_per_second"]["mean"]
            off = before / real - 1
            worst = max(worst, abs(off))
            print(f"| {model.name} | {measured['test']} | {depth} | {real:,.0f} | {before:,.0f} | {off:+.0%} | {after:,.0f} |")
    print(f"\nThe model is off by {worst:.0%} at most. What it assumes of kernels that never ran there stands in the script.")


main()
