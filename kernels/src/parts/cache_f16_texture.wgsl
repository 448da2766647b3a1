// Keys and values of f16, packed in pairs, eight a texel, 4096 texels a row: see PLANE_TEXTURES.
@group(0) @binding(1) var keys: texture_2d<u32>;   // (kv_heads, head_cells, head_dim / 8)
@group(0) @binding(2) var values: texture_2d<u32>; // (kv_heads, head_cells, head_dim / 8)

fn eight(bits: vec4u) -> Eight { return Eight(unpacked(bits.xy), unpacked(bits.zw)); }
fn key8(i: u32) -> Eight { return eight(textureLoad(keys, vec2u(i & 4095u, i >> 12u), 0)); }
fn value8(i: u32) -> Eight { return eight(textureLoad(values, vec2u(i & 4095u, i >> 12u), 0)); }
fn key4(i: u32) -> vec4f { return one_of(key8(i / 2u), i); }
fn value4(i: u32) -> vec4f { return one_of(value8(i / 2u), i); }
fn one_of(v: Eight, i: u32) -> vec4f { return select(v.a, v.b, i % 2u == 1u); }
