// Packed activations in a storage buffer.
@group(0) @binding(3) var<storage, read> x: array<Packed>;      // (tokens, groups)
