// q5_1: w = d q + m, q of 5 bits; 32 weights share d and m.
// Planes: quants and qh (groups): as `five_bits` has them; scales (fours of rows, groups): f16 d below f16 m.

const W_STEP = PLACES;

fn w_scales_of(four: u32) -> Scales { return f16x2_scales(scale_words(four)); }

fn w_group(group: u32) -> Group { return five_bits(quants4(group), qh_word(group)); }

fn w_bytes(group: u32) -> Bytes { return five_bits_bytes(quants4(group), qh_word(group)); }
