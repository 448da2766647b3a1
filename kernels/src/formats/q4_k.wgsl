// q4_k: w = d s q - dmin m, q of 4 bits; 32 weights share s and m of 6 bits, 256 share d and dmin.
// Planes: quants (groups): as `four_bits` has them; scales (fours of rows, groups / 8, 5): four d and four dmin, then for
// each group four m above s.

const W_STEP = PLACES;

fn w_scales_of(four: u32) -> Scales {
    let first = four / 8u * 5u;
    let whole = scale_words(first);
    let own = pair_of(scale_words(first + 1u + four % 8u / 2u), four);
    return Scales(f16x4(whole.xy) * bytes_of_four(own, 0u), f16x4(whole.zw) * -bytes_of_four(own, 1u));
}

fn w_group(group: u32) -> Group { return four_bits(quants4(group)); }

fn w_bytes(group: u32) -> Bytes { return four_bits_bytes(quants4(group)); }
