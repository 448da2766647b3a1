// Keys and values of f32, four at a time.
@group(0) @binding(1) var<storage, read_write> keys: array<vec4f>;   // (kv heads, places, head size / 4)
@group(0) @binding(2) var<storage, read_write> values: array<vec4f>; // (kv heads, places, head size / 4)

fn cached(v: vec4f) -> vec4f { return v; }
