// Keys and values of f32, four at a time.
const FOURS = 1u;

@group(0) @binding(1) var<storage, read_write> keys: array<vec4f>;   // (kv_heads, head_cells, head_dim / 4)
@group(0) @binding(2) var<storage, read_write> values: array<vec4f>; // (kv_heads, head_cells, head_dim / 4)

fn put_key(i: u32, v: vec4f, number: u32) { keys[i] = v; }
fn put_value(i: u32, v: vec4f) { values[i] = v; }
