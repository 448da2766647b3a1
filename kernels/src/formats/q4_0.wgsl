// q4_0: w = d (q - 8), q of 4 bits; 32 weights share d.
// Planes: quants (groups): byte j of word i has q of weight 8 i + j below that of weight 8 i + 4 + j; scales (fours of rows, groups): f16 d.

const W_STEP = NIBBLES;

fn w_scales_of(four: u32) -> Scales {
    let d = halves(scale_words(four));
    return Scales(d, -8.0 * d);
}

fn w_group(group: u32) -> Group {
    let q = quants4(group);
    return Group(nibbles(q.x), nibbles(q.x >> 4u), nibbles(q.y), nibbles(q.y >> 4u),
        nibbles(q.z), nibbles(q.z >> 4u), nibbles(q.w), nibbles(q.w >> 4u));
}

fn w_bytes(group: u32) -> Bytes {
    let q = quants4(group);
    return Bytes(nibble_bytes(q.xy), nibble_bytes(q.zw));
}
