// f32: weights as they are.
// Planes: quants (groups, 8): four weights each.

const W_STEP = vec4f(1.0);

fn w_scales_of(four: u32) -> Scales { return Scales(vec4f(1.0), vec4f(0.0)); }

fn w_group(group: u32) -> Group {
    let i = group * 8u;
    return Group(bitcast<vec4f>(quants4(i)), bitcast<vec4f>(quants4(i + 1u)), bitcast<vec4f>(quants4(i + 2u)), bitcast<vec4f>(quants4(i + 3u)),
        bitcast<vec4f>(quants4(i + 4u)), bitcast<vec4f>(quants4(i + 5u)), bitcast<vec4f>(quants4(i + 6u)), bitcast<vec4f>(quants4(i + 7u)));
}
