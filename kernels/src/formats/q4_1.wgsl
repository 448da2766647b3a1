// q4_1: w = d q + m, q of 4 bits; 32 weights share d and m.
// Planes: quants (groups): byte j of word i has q of weight 8 i + j below that of weight 8 i + 4 + j; scales (fours of rows, groups): f16 d below f16 m.

const W_STEP = NIBBLES;

fn w_scales_of(four: u32) -> Scales { return half_pairs(scale_words(four)); }

fn w_group(group: u32) -> Group {
    let q = quants4(group);
    return Group(nibbles(q.x), nibbles(q.x >> 4u), nibbles(q.y), nibbles(q.y >> 4u),
        nibbles(q.z), nibbles(q.z >> 4u), nibbles(q.w), nibbles(q.w >> 4u));
}

fn w_bytes(group: u32) -> Bytes {
    let q = quants4(group);
    return Bytes(nibble_bytes(q.xy), nibble_bytes(q.zw));
}
