// q5_0: w = d (q - 16), q of 5 bits; 32 weights share d.
// Planes: quants and qh (groups): as `five_bits` has them; scales (fours of rows, groups): f16 d.

const W_STEP = PLACES;

fn w_scales_of(four: u32) -> Scales {
    let d = f16x4(scale_words(four));
    return Scales(d, -16.0 * d);
}

fn w_group(group: u32) -> Group { return five_bits(quants4(group), qh_word(group)); }

fn w_bytes(group: u32) -> Bytes { return five_bits_bytes(quants4(group), qh_word(group)); }
