// Keys and values of f32, four at a time.
@group(0) @binding(1) var<storage, read> keys: array<vec4f>;   // (kv heads, places, head size / 4)
@group(0) @binding(2) var<storage, read> values: array<vec4f>; // (kv heads, places, head size / 4)

fn key4(i: u32) -> vec4f { return keys[i]; }
fn value4(i: u32) -> vec4f { return values[i]; }
fn key8(i: u32) -> Eight { return Eight(key4(2u * i), key4(2u * i + 1u)); }
fn value8(i: u32) -> Eight { return Eight(value4(2u * i), value4(2u * i + 1u)); }
