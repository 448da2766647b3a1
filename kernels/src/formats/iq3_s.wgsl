// iq3_s, its grid and signs resolved: w = d s (2 q - 15), q of 4 bits; 32 weights share s, odd and below 32, 256 share d.
// Planes: quants (groups): as `four_bits` has them; scales (fours of rows, groups / 8, 5): four d, then for each two groups
// four s above s.

const W_STEP = PLACES;

fn w_scales_of(four: u32) -> Scales {
    let first = four / 8u * 5u;
    let s = bytes_of_four(scale_words(first + 1u + four % 8u / 2u), four % 2u);
    let scale = f16x4(scale_words(first)) * s;
    return Scales(2.0 * scale, -15.0 * scale);
}

fn w_group(group: u32) -> Group { return four_bits(quants4(group)); }
