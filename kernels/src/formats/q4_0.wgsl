// q4_0: w = d (q - 8), q of 4 bits; 32 weights share d.
// Planes: quants (groups): as `four_bits` has them; scales (fours of rows, groups): f16 d.

const W_STEP = PLACES;

fn w_scales_of(four: u32) -> Scales {
    let d = f16x4(scale_words(four));
    return Scales(d, -8.0 * d);
}

fn w_group(group: u32) -> Group { return four_bits(quants4(group)); }

fn w_bytes(group: u32) -> Bytes { return four_bits_bytes(quants4(group)); }
