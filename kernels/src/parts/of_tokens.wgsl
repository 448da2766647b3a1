// The row of each token, stored.
@group(0) @binding(3) var<storage, read> tokens: array<u32>; // (tokens)

fn looked_up(token: u32) -> u32 { return tokens[token]; }
fn put(i: u32, v: vec4f) { x[i] = v; }
