// Keys and values of f16, packed in pairs, four at a time: needs no shader-f16.
@group(0) @binding(1) var<storage, read_write> keys: array<vec2u>;   // (context, kv heads, head size / 4)
@group(0) @binding(2) var<storage, read_write> values: array<vec2u>; // (context, kv heads, head size / 4)

// Larger values than f16 has are kept at its largest: an infinity would end every sum it meets.
fn cached(v: vec4f) -> vec2u {
    let kept = clamp(v, vec4f(-65504.0), vec4f(65504.0));
    return vec2u(pack2x16float(kept.xy), pack2x16float(kept.zw));
}
