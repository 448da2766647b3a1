// RMSNorm's weight in a uniform buffer: llvmpipe reads those many times faster at a shared index.
@group(0) @binding(6) var<uniform> norm_weight: array<Group, X_LENGTH / 8u>; // (padded cols / 32)
