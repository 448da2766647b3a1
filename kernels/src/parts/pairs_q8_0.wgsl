// Keys and values as bytes: blocks of 32 share a scale, an f32 before their eight words.
@group(0) @binding(1) var<storage, read> keys: array<u32>;   // (places, kv heads, head size / 32, 9)
@group(0) @binding(2) var<storage, read> values: array<u32>; // (places, kv heads, head size / 32, 9)

fn bytes2(word: u32, half: u32, scale: u32) -> vec2f {
    let bits = vec2u(word >> (half * 16u)) << vec2u(24u, 16u);
    return vec2f(bitcast<vec2i>(bits) >> vec2u(24u)) * bitcast<f32>(scale);
}
fn key_pair(i: u32) -> vec2f {
    let block = i / 16u * 9u;
    return bytes2(keys[block + 1u + i % 16u / 2u], i % 2u, keys[block]);
}
fn value_pair(i: u32) -> vec2f {
    let block = i / 16u * 9u;
    return bytes2(values[block + 1u + i % 16u / 2u], i % 2u, values[block]);
}
