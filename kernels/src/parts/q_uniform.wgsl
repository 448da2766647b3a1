// Queries in a uniform buffer, of eight tokens or one: software adapters read those many times faster at a shared index.
@group(0) @binding(3) var<uniform> qkv: array<vec4f, Q_LENGTH>;    // (tokens from token_start on, q_stride / 4)
