// mxfp4: w = 2^(e - 128) v, v of 4 bits one of 0 ±1 ±2 ±3 ±4 ±6 ±8 ±12; 32 weights share e, a byte.
// Planes: quants (groups): q from 1 to 15 by the size of v, 8 for 0, as `four_bits` has them; scales (fours of rows, groups): e.

const W_STEP = vec4f(1.0);

fn w_scales_of(four: u32) -> Scales {
    let word = scale_bytes(four);
    let e = (vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(0xffu);
    return Scales(bitcast<vec4f>((max(e, vec4u(1u)) - vec4u(1u)) << vec4u(23u)), vec4f(0.0)); // e below 2: nothing but 0 is left
}

fn w_group(group: u32) -> Group {
    let q = four_bits(quants4(group));
    return Group(e2m1(q.a), e2m1(q.b), e2m1(q.c), e2m1(q.d), e2m1(q.e), e2m1(q.f), e2m1(q.g), e2m1(q.h));
}
