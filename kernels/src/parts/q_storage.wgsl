// Queries in a storage buffer, of every token of the pass.
@group(0) @binding(3) var<storage, read> qkv: array<vec4f>;        // (tokens, q_stride / 4)
