// Keys and values of f16, packed in pairs, four at a time: needs no shader-f16.
@group(0) @binding(1) var<storage, read> keys: array<vec2u>;   // (kv_heads, head_cells, head_dim / 4)
@group(0) @binding(2) var<storage, read> values: array<vec2u>; // (kv_heads, head_cells, head_dim / 4)

fn f16x4(bits: vec2u) -> vec4f { return vec4f(unpack2x16float(bits.x), unpack2x16float(bits.y)); }
fn key4(i: u32) -> vec4f { return f16x4(keys[i]); }
fn value4(i: u32) -> vec4f { return f16x4(values[i]); }
