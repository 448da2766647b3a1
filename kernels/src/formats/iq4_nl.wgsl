// iq4_nl: w = d v(q), q of 4 bits, v a table of 16 values; 32 weights share d.
// Planes: quants (groups): as `four_bits` has them; scales (fours of rows, groups): f16 d.

const W_STEP = vec4f(1.0);

fn w_scales_of(four: u32) -> Scales { return Scales(f16x4(scale_words(four)), vec4f(0.0)); }

fn w_group(group: u32) -> Group { return curved(four_bits(quants4(group))); }
