// Keys and values of f32, four at a time.
@group(0) @binding(1) var<storage, read> keys: array<vec4f>;   // (kv_heads, head_cells, head_dim / 4)
@group(0) @binding(2) var<storage, read> values: array<vec4f>; // (kv_heads, head_cells, head_dim / 4)

fn key4(i: u32) -> vec4f { return keys[i]; }
fn value4(i: u32) -> vec4f { return values[i]; }
