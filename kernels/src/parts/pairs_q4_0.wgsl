// Keys and values as nibbles: blocks of 32 share a scale, an f32 before their four words.
@group(0) @binding(1) var<storage, read> keys: array<u32>;   // (places, kv heads, head size / 32, 5)
@group(0) @binding(2) var<storage, read> values: array<u32>; // (places, kv heads, head size / 32, 5)

fn nibbles2(word: u32, quarter: u32, scale: u32) -> vec2f {
    let q = (vec2u(word >> (quarter * 8u)) >> vec2u(0u, 4u)) & vec2u(15u);
    return (vec2f(vec2i(q)) - 8.0) * bitcast<f32>(scale);
}
fn key_pair(i: u32) -> vec2f {
    let block = i / 16u * 5u;
    return nibbles2(keys[block + 1u + i % 16u / 4u], i % 4u, keys[block]);
}
fn value_pair(i: u32) -> vec2f {
    let block = i / 16u * 5u;
    return nibbles2(values[block + 1u + i % 16u / 4u], i % 4u, values[block]);
}
