// iq2_xxs, iq2_xs and iq2_s, their codes resolved: w = d / 8 (2 s + 1) v, v one of ±8 ±25 ±43; 16 weights share s of 4 bits,
// 256 share d.
// Planes: quants (groups / 8, 6): v's place from -43 to 43, 3 bits: for each group two words of low bits (bits 2 k of byte j of
// word i: weight 16 i + 4 k + j), then for each a word of high bits (bit k of byte j: weight 4 k + j); scales (fours of rows,
// groups / 8): f16 d; qh (groups / 4): for each group a byte of two s.

const W_STEP = vec4f(1.0);
const SIZES = vec4f(17.3) * PLACES;

fn w_scales_of(four: u32) -> Scales { return Scales(0.125 * f16x4(scale_words(four / 8u)), vec4f(0.0)); }

fn w_group(group: u32) -> Group {
    let first = group / 8u * 6u;
    let place = group % 8u;
    let q = pair_of(quants4(first + place / 2u), place);
    let h = quants4(first + 4u + place / 4u)[place % 4u];
    let two = qh_word(group / 4u) >> (group % 4u * 8u);
    let s = 2.0 * vec2f(vec2i(vec2u(two, two >> 4u) & vec2u(15u))) + 1.0;
    return Group(w_four(q.x, h * 4u, s.x), w_four(q.x >> 2u, h * 2u, s.x),
        w_four(q.x >> 4u, h, s.x), w_four(q.x >> 6u, h >> 1u, s.x),
        w_four(q.y, h >> 2u, s.y), w_four(q.y >> 2u, h >> 3u, s.y),
        w_four(q.y >> 4u, h >> 4u, s.y), w_four(q.y >> 6u, h >> 5u, s.y));
}

// Four (2 s + 1) v, whole numbers: v is 17.3 times what its place is from the middle, without the fraction.
fn w_four(low: u32, high: u32, s: f32) -> vec4f {
    let q = bytes_placed((low & 0x03030303u) | (high & 0x04040404u));
    return trunc(q * SIZES - 43.25) * s;
}
