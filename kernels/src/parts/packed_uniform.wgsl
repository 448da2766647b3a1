// Packed activations in a uniform buffer: llvmpipe reads those many times faster at a shared index.
@group(0) @binding(3) var<uniform> x: array<Packed, X_LENGTH>;  // (groups)
