// Each key of a head's state decays by its own (Kimi Linear, 2025), which `decay` has made.
@group(0) @binding(2) var<storage, read> decays: array<vec4f>; // (tokens, decays_stride / 4): (value_heads, KEY_DIM)

// No decay of the head, and beta of a row.
fn decay_and_beta(row: u32, head: u32) -> vec2f {
    return vec2f(1.0, sigmoid(gates[row * params.gates_stride + params.beta_start + head]));
}

// Past the last key, where slices are longer, nothing is kept.
fn decayed(s: vec4f, row: u32, head: u32, four: u32) -> vec4f {
    let place = (row * params.decays_stride + head * KEY_DIM) / 4u;
    return s * decays[place + min(four, KEY_FOURS - 1u)];
}
