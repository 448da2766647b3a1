// iq1_s, its codes resolved: w = d (2 s + 1) (q - 7/8 or q - 9/8), q of 2 bits, 3 of whose values it has; 32 weights share s of
// 3 bits and which of both, 256 share d.
// Planes: quants (groups / 2): for each group two words (bits 2 k of byte j of word i: weight 16 i + 4 k + j); scales (fours of
// rows, groups / 8, 3): four d, then for each four groups, of each row, four s of 4 bits, the highest set for 9/8.

const W_STEP = PLACES;

fn w_scales_of(four: u32) -> Scales {
    let first = four / 8u * 3u;
    let words = scale_words(first + 1u + four % 8u / 4u);
    let s = vec4u(words.x, words.x >> 16u, words.y, words.y >> 16u) >> vec4u(four % 4u * 4u);
    let scale = f16x4(scale_words(first)) * (2.0 * vec4f(vec4i(s & vec4u(7u))) + 1.0);
    return Scales(scale, -scale * (0.03125 * vec4f(vec4i(s & vec4u(8u))) + 0.875));
}

fn w_group(group: u32) -> Group {
    let q = pair_of(quants4(group / 2u), group);
    return Group(w_four(q.x), w_four(q.x >> 2u), w_four(q.x >> 4u), w_four(q.x >> 6u),
        w_four(q.y), w_four(q.y >> 2u), w_four(q.y >> 4u), w_four(q.y >> 6u));
}

fn w_four(bits: u32) -> vec4f { return bytes_placed(bits & 0x03030303u); }
