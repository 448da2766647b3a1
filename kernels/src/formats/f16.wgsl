// f16: weights in pairs, exact for denormals.
// Planes: quants (groups, 4): eight weights each.

const W_STEP = vec4f(1.0);

fn w_scales_of(four: u32) -> Scales { return Scales(vec4f(1.0), vec4f(0.0)); }

fn w_group(group: u32) -> Group {
    let i = group * 4u;
    let a = quants4(i);
    let b = quants4(i + 1u);
    let c = quants4(i + 2u);
    let d = quants4(i + 3u);
    return Group(f16x4(a.xy), f16x4(a.zw), f16x4(b.xy), f16x4(b.zw),
        f16x4(c.xy), f16x4(c.zw), f16x4(d.xy), f16x4(d.zw));
}
