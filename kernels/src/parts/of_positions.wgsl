// The row of each position, added.
fn looked_up(token: u32) -> u32 { return state.position + token; }
fn put(i: u32, v: vec4f) { x[i] += v; }
