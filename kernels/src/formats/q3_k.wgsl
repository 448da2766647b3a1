// q3_k: w = d s (q - 4), q of 3 bits; 16 weights share s of 6 bits, 256 share d.
// Planes: quants (groups / 8, 7): for each group two words of low bits (bits 2 k of byte j of word i: weight 16 i + 4 k + j),
// then for each a word of high bits (bit k of byte j: weight 4 k + j), then for each two s, signed bytes;
// scales (fours of rows, groups / 8): f16 d.

const W_STEP = PLACES;
const MIDDLE = vec4f(4.0, 1024.0, 262144.0, 67108864.0); // 4 / PLACES

fn w_scales_of(four: u32) -> Scales { return Scales(f16x4(scale_words(four / 8u)), vec4f(0.0)); }

fn w_group(group: u32) -> Group {
    let first = group / 8u * 7u;
    let place = group % 8u;
    let q = pair_of(quants4(first + place / 2u), place);
    let h = quants4(first + 4u + place / 4u)[place % 4u];
    let s = signed_pair(half_of(quants4(first + 6u), place));
    return Group(w_four(q.x, h * 4u, s.x), w_four(q.x >> 2u, h * 2u, s.x),
        w_four(q.x >> 4u, h, s.x), w_four(q.x >> 6u, h >> 1u, s.x),
        w_four(q.y, h >> 2u, s.y), w_four(q.y >> 2u, h >> 3u, s.y),
        w_four(q.y >> 4u, h >> 4u, s.y), w_four(q.y >> 6u, h >> 5u, s.y));
}

// Four s (q - 4): whole numbers, exact.
fn w_four(low: u32, high: u32, s: f32) -> vec4f {
    return (bytes_placed((low & 0x03030303u) | (high & 0x04040404u)) - MIDDLE) * s;
}
