// Keys and values of f16, packed in pairs, eight a texel, 4096 texels a row. A lane takes both fours of a texel, one after
// the other, for a texel is written whole: the first four waits. Two texels may be under way at once, with numbers of
// their own.
const FOURS = 2u;

@group(0) @binding(1) var keys: texture_storage_2d<rgba32uint, write>;   // (kv_heads, head_cells, head_dim / 8)
@group(0) @binding(2) var values: texture_storage_2d<rgba32uint, write>; // (kv_heads, head_cells, head_dim / 8)

var<private> waiting: array<vec2u, 2>;

fn put_key(i: u32, v: vec4f, number: u32) {
    let now = packed(v);
    if i % 2u == 1u { textureStore(keys, vec2u((i / 2u) & 4095u, i >> 13u), vec4u(waiting[number], now)); }
    waiting[number] = now;
}
fn put_value(i: u32, v: vec4f) {
    let now = packed(v);
    if i % 2u == 1u { textureStore(values, vec2u((i / 2u) & 4095u, i >> 13u), vec4u(waiting[0], now)); }
    waiting[0] = now;
}
