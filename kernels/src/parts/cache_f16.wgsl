// Four values as f16, packed in pairs: needs no shader-f16.
alias Stored = vec2u;

fn unpacked(bits: vec2u) -> vec4f { return vec4f(unpack2x16float(bits.x), unpack2x16float(bits.y)); }

// Rounded to the nearest of f16's 11 bits, to even between two: WGSL leaves that to drivers, and llvmpipe cuts off.
// Larger values than f16 has are kept at its largest: an infinity would end every sum it meets.
fn packed(v: vec4f) -> vec2u {
    let bits = bitcast<vec4u>(clamp(v, vec4f(-65504.0), vec4f(65504.0)));
    let kept = bitcast<vec4f>((bits + 0xfffu + ((bits >> vec4u(13u)) & vec4u(1u))) & vec4u(0xffffe000u));
    return vec2u(pack2x16float(kept.xy), pack2x16float(kept.zw));
}
