// Activations of eight tokens in a uniform buffer: llvmpipe reads those many times faster at a shared index.
@group(0) @binding(3) var<uniform> x: array<Group, X_LENGTH / 8u>; // (8, padded cols / 32): of eight tokens
