// iq1_m, its codes resolved: w = d / 8 (2 s + 1) (8 q - 7 or 8 q - 9), q of 2 bits, 3 of whose values it has; 8 weights share
// which of both, 16 share s of 3 bits, 256 share d.
// Planes: quants (groups / 2): for each group two words (bits 2 k of byte j of word i: weight 16 i + 4 k + j); scales (fours of
// rows, groups / 8): f16 d; qh (groups / 8, 3): for each group four bits, set for 9, then for each a byte of two s.

const W_STEP = vec4f(1.0);

fn w_scales_of(four: u32) -> Scales { return Scales(0.125 * f16x4(scale_words(four / 8u)), vec4f(0.0)); }

fn w_group(group: u32) -> Group {
    let q = pair_of(quants4(group / 2u), group);
    let first = group / 8u * 3u;
    let place = group % 8u;
    let nines = vec4u(qh_word(first) >> (place * 4u)) & vec4u(1u, 2u, 4u, 8u);
    let two = qh_word(first + 1u + place / 4u) >> (place % 4u * 8u);
    let s = 2.0 * vec2f(vec2i(vec2u(two, two >> 4u) & vec2u(7u))) + 1.0;
    let low = 8.0 * s.x * PLACES;
    let high = 8.0 * s.y * PLACES;
    let offsets = s.xxyy * (vec4f(vec4i(nines)) * vec4f(2.0, 1.0, 0.5, 0.25) + 7.0);
    return Group(w_four(q.x, low, offsets.x), w_four(q.x >> 2u, low, offsets.x),
        w_four(q.x >> 4u, low, offsets.y), w_four(q.x >> 6u, low, offsets.y),
        w_four(q.y, high, offsets.z), w_four(q.y >> 2u, high, offsets.z),
        w_four(q.y >> 4u, high, offsets.w), w_four(q.y >> 6u, high, offsets.w));
}

// Four (2 s + 1) (8 q - 7 or 9): whole numbers, exact.
fn w_four(bits: u32, scale: vec4f, offset: f32) -> vec4f { return bytes_placed(bits & 0x03030303u) * scale - offset; }
