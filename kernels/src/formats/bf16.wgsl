// bf16: weights in pairs, the upper halves of f32.
// Planes: quants (groups, 4): eight weights each.

const W_STEP = vec4f(1.0);

fn w_scales_of(four: u32) -> Scales { return Scales(vec4f(1.0), vec4f(0.0)); }

fn w_four(bits: vec2u) -> vec4f {
    return bitcast<vec4f>(vec4u(bits.x * 0x10000u, bits.x & 0xffff0000u, bits.y * 0x10000u, bits.y & 0xffff0000u));
}

fn w_group(group: u32) -> Group {
    let i = group * 4u;
    let a = quants4(i);
    let b = quants4(i + 1u);
    let c = quants4(i + 2u);
    let d = quants4(i + 3u);
    return Group(w_four(a.xy), w_four(a.zw), w_four(b.xy), w_four(b.zw),
        w_four(c.xy), w_four(c.zw), w_four(d.xy), w_four(d.zw));
}
