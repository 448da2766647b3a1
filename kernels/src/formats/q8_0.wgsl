// q8_0: w = d q, q a signed byte; 32 weights share d.
// Planes: quants (groups, 2): a byte a weight; scales (fours of rows, groups): f16 d.

const W_STEP = BYTES;

fn w_scales_of(four: u32) -> Scales {
    let d = f16x4(scale_words(four));
    return Scales(d, vec4f(0.0));
}

fn w_group(group: u32) -> Group {
    let a = quants4(2u * group);
    let b = quants4(2u * group + 1u);
    return Group(signed_bytes(a.x), signed_bytes(a.y), signed_bytes(a.z), signed_bytes(a.w),
        signed_bytes(b.x), signed_bytes(b.y), signed_bytes(b.z), signed_bytes(b.w));
}

fn w_bytes(group: u32) -> Bytes {
    return Bytes(quants4(2u * group), quants4(2u * group + 1u));
}
