// tq2_0, and tq1_0 once packed: w = d (q - 1), q of 2 bits; 256 weights share d.
// Planes: quants (groups / 2): for each group two words (bits 2 k of byte j of word i: weight 16 i + 4 k + j);
// scales (fours of rows, groups / 8): f16 d.

const W_STEP = PLACES;

fn w_scales_of(four: u32) -> Scales {
    let d = f16x4(scale_words(four / 8u));
    return Scales(d, -d);
}

fn w_group(group: u32) -> Group {
    let q = pair_of(quants4(group / 2u), group);
    return Group(w_four(q.x), w_four(q.x >> 2u), w_four(q.x >> 4u), w_four(q.x >> 6u),
        w_four(q.y), w_four(q.y >> 2u), w_four(q.y >> 4u), w_four(q.y >> 6u));
}

fn w_four(bits: u32) -> vec4f { return bytes_placed(bits & 0x03030303u); }
