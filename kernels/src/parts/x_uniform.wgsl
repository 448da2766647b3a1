// Activations in a uniform buffer, for one token: llvmpipe reads those many times faster at a shared index.
@group(0) @binding(3) var<uniform> x: array<Group, X_LENGTH / 8u>; // (padded cols / 32)

fn x_start(length: u32) -> u32 { return 0u; }
