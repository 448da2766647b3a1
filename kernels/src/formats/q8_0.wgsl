// q8_0: w = d q, q a signed byte; 32 weights share d.
// Planes: quants (groups, 2): a byte a weight; scales (groups / 2): two f16 d.

fn w_scale(group: u32) -> vec2f {
    let d = half(scale_word(group / 2u) >> (16u * (group % 2u)));
    return vec2f(d, 0.0);
}

fn w_group(group: u32) -> Group {
    let a = quants4(2u * group);
    let b = quants4(2u * group + 1u);
    return Group(signed_bytes(a.x), signed_bytes(a.y), signed_bytes(a.z), signed_bytes(a.w),
        signed_bytes(b.x), signed_bytes(b.y), signed_bytes(b.z), signed_bytes(b.w));
}
