// iq3_xxs, its codes resolved: w = d / 2 s v, v, of 4 bits, one of ±2 ±6 ±10 ±14 ±18 ±22 ±26 ±31; 32 weights share s, odd and
// below 32, 256 share d.
// Planes: quants (groups): v's place from -31 to 31, as `four_bits` has them; scales (fours of rows, groups / 8, 5): four d, then
// for each two groups four s above s.

const W_STEP = vec4f(1.0);

fn w_scales_of(four: u32) -> Scales {
    let first = four / 8u * 5u;
    let s = bytes_of_four(scale_words(first + 1u + four % 8u / 2u), four % 2u);
    return Scales(0.5 * f16x4(scale_words(first)) * s, vec4f(0.0));
}

fn w_group(group: u32) -> Group {
    let q = four_bits(quants4(group));
    return Group(w_value(q.a), w_value(q.b), w_value(q.c), w_value(q.d), w_value(q.e), w_value(q.f), w_value(q.g), w_value(q.h));
}

// v by a polynomial, at most 0.42 off before it is rounded: 4 times what its place is from the middle, but for the last.
fn w_value(q: vec4f) -> vec4f {
    let n = q * PLACES - 7.5;
    return round(n * (0.0015 * (n * n) + 4.0));
}
