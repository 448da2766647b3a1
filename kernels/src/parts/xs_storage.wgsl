// Activations of eight tokens in a storage buffer.
@group(0) @binding(3) var<storage, read> x: array<Group, X_LENGTH / 8u>;       // (8, padded cols / 32): of eight tokens
