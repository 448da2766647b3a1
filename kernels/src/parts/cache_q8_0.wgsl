// Keys and values as bytes: blocks of 32 share a scale, an f32 before their eight words.
@group(0) @binding(1) var<storage, read> keys: array<u32>;   // (kv_heads, head_cells, head_dim / 32, 9)
@group(0) @binding(2) var<storage, read> values: array<u32>; // (kv_heads, head_cells, head_dim / 32, 9)

fn bytes4(word: u32, scale: u32) -> vec4f {
    return vec4f(bitcast<vec4i>(vec4u(word) * vec4u(0x1000000u, 0x10000u, 0x100u, 1u)) >> vec4u(24u)) * bitcast<f32>(scale);
}
fn key4(i: u32) -> vec4f {
    let block = i / 8u * 9u;
    return bytes4(keys[block + 1u + i % 8u], keys[block]);
}
fn value4(i: u32) -> vec4f {
    let block = i / 8u * 9u;
    return bytes4(values[block + 1u + i % 8u], values[block]);
}
