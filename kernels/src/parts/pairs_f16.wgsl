// Keys and values of f16, two at a time: needs no shader-f16.
@group(0) @binding(1) var<storage, read> keys: array<u32>;   // (context, kv heads, head size / 2)
@group(0) @binding(2) var<storage, read> values: array<u32>; // (context, kv heads, head size / 2)

fn key_pair(i: u32) -> vec2f { return unpack2x16float(keys[i]); }
fn value_pair(i: u32) -> vec2f { return unpack2x16float(values[i]); }
