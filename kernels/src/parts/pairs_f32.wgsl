// Keys and values of f32, two at a time.
@group(0) @binding(1) var<storage, read> keys: array<vec2f>;   // (context, kv heads, head size / 2)
@group(0) @binding(2) var<storage, read> values: array<vec2f>; // (context, kv heads, head size / 2)

fn key_pair(i: u32) -> vec2f { return keys[i]; }
fn value_pair(i: u32) -> vec2f { return values[i]; }
