// iq4_xs: w = d (s - 32) v(q), q of 4 bits, v iq4_nl's table; 32 weights share s of 6 bits, 256 share d.
// Planes: quants (groups): as `four_bits` has them; scales (fours of rows, groups / 8, 5): four d, then for each two groups
// four s above s.

const W_STEP = vec4f(1.0);

fn w_scales_of(four: u32) -> Scales {
    let first = four / 8u * 5u;
    let s = bytes_of_four(scale_words(first + 1u + four % 8u / 2u), four % 2u);
    return Scales(f16x4(scale_words(first)) * (s - 32.0), vec4f(0.0));
}

fn w_group(group: u32) -> Group { return curved(four_bits(quants4(group))); }
