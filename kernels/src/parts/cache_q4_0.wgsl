// Keys and values as nibbles: blocks of 32 share a scale, an f32 before their four words.
@group(0) @binding(1) var<storage, read> keys: array<u32>;   // (kv_heads, head_cells, head_dim / 32, 5)
@group(0) @binding(2) var<storage, read> values: array<u32>; // (kv_heads, head_cells, head_dim / 32, 5)

fn nibbles4(word: u32, half: u32, scale: u32) -> vec4f {
    let q = (vec4u(word >> (half * 16u)) >> vec4u(0u, 4u, 8u, 12u)) & vec4u(15u);
    return (vec4f(vec4i(q)) - 8.0) * bitcast<f32>(scale);
}
fn key4(i: u32) -> vec4f {
    let block = i / 8u * 5u;
    return nibbles4(keys[block + 1u + i % 8u / 2u], i % 2u, keys[block]);
}
fn value4(i: u32) -> vec4f {
    let block = i / 8u * 5u;
    return nibbles4(values[block + 1u + i % 8u / 2u], i % 2u, values[block]);
}
