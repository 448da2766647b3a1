// q6_k: w = d s (q - 32), q of 6 bits; 16 weights share s, a signed byte, 256 share d.
// Planes: quants (groups / 8, 13): for each group the low bits as `four_bits` has them, then for each two words of high
// bits (bits 2 k of byte j of word i: weight 16 i + 4 k + j), then for each two s; scales (fours of rows, groups / 8): f16 d.

const W_STEP = PLACES;
const MIDDLE = vec4f(32.0, 8192.0, 2097152.0, 536870912.0); // 32 / PLACES

fn w_scales_of(four: u32) -> Scales { return Scales(f16x4(scale_words(four / 8u)), vec4f(0.0)); }

fn w_group(group: u32) -> Group {
    let first = group / 8u * 13u;
    let place = group % 8u;
    let q = quants4(first + place);
    let h = pair_of(quants4(first + 8u + place / 2u), place);
    let s = signed_pair(half_of(quants4(first + 12u), place));
    return Group(w_four(q.x, h.x * 16u, s.x), w_four(q.x >> 4u, h.x * 4u, s.x),
        w_four(q.y, h.x, s.x), w_four(q.y >> 4u, h.x >> 2u, s.x),
        w_four(q.z, h.y * 16u, s.y), w_four(q.z >> 4u, h.y * 4u, s.y),
        w_four(q.w, h.y, s.y), w_four(q.w >> 4u, h.y >> 2u, s.y));
}

// Four s (q - 32): whole numbers, exact.
fn w_four(low: u32, high: u32, s: f32) -> vec4f {
    return (bytes_placed((low & 0x0f0f0f0fu) | (high & 0x30303030u)) - MIDDLE) * s;
}
