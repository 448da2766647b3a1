// nvfp4: w = s v, v, of 4 bits, one of 0 ±1 ±2 ±3 ±4 ±6 ±8 ±12; 16 weights share s, half of a float of 8 bits.
// Planes: quants (groups): q from 1 to 15 by the size of v, 8 for 0, as `four_bits` has them; qh (groups / 2): for each group two
// s, which are an f16 of another exponent.

const W_STEP = vec4f(1.0);

fn w_scales_of(four: u32) -> Scales { return Scales(vec4f(128.0), vec4f(0.0)); }

fn w_group(group: u32) -> Group {
    let two = qh_word(group / 2u) >> (group % 2u * 16u);
    let s = f16x4(vec2u(((two & 0x7fu) * 0x80u) | ((two & 0x7f00u) * 0x8000u), 0u));
    let q = four_bits(quants4(group));
    return Group(e2m1(q.a) * s.x, e2m1(q.b) * s.x, e2m1(q.c) * s.x, e2m1(q.d) * s.x,
        e2m1(q.e) * s.y, e2m1(q.f) * s.y, e2m1(q.g) * s.y, e2m1(q.h) * s.y);
}
