// q5_0: w = d (q - 16), q of 5 bits; 32 weights share d.
// Planes: quants (groups): byte j of word i has the low part of q of weight 8 i + j below that of weight 8 i + 4 + j;
// highs (groups): bit k is the fifth bit of weight k; scales (fours of rows, groups): f16 d.

const W_STEP = NIBBLES;

fn w_scales_of(four: u32) -> Scales {
    let d = halves(scale_words(four));
    return Scales(d, -16.0 * d);
}

fn w_group(group: u32) -> Group {
    let q = quants4(group);
    let h = high_word(group);
    return Group(
        nibbles(q.x) + fifth_bits(h), nibbles(q.x >> 4u) + fifth_bits(h >> 4u),
        nibbles(q.y) + fifth_bits(h >> 8u), nibbles(q.y >> 4u) + fifth_bits(h >> 12u),
        nibbles(q.z) + fifth_bits(h >> 16u), nibbles(q.z >> 4u) + fifth_bits(h >> 20u),
        nibbles(q.w) + fifth_bits(h >> 24u), nibbles(q.w >> 4u) + fifth_bits(h >> 28u));
}

fn w_bytes(group: u32) -> Bytes {
    let q = quants4(group);
    let h = high_word(group);
    return Bytes(nibble_bytes(q.xy) | fifth_bytes(h), nibble_bytes(q.zw) | fifth_bytes(h >> 16u));
}
