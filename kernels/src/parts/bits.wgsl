// Bits of quantised blocks as numbers. Conversions go through i32: from u32 they cost several instructions on CPUs.

// The f16 in the low halves of `bits`, exact for denormals too, which unpack2x16float may flush. No infinities.
fn half4(bits: vec4u) -> vec4f {
    let sign = (bits & vec4u(0x8000u)) << vec4u(16u);
    let normal = bitcast<vec4f>(sign | (((bits & vec4u(0x7fffu)) << vec4u(13u)) + vec4u(0x38000000u)));
    let denormal = vec4f(vec4i(bits & vec4u(0x3ffu))) * bitcast<vec4f>(vec4u(0x33800000u) | sign); // 2^-24
    return select(normal, denormal, (bits & vec4u(0x7c00u)) == vec4u(0u));
}

// The four f16 in two words.
fn halves(words: vec2u) -> vec4f {
    return half4(vec4u(words.x, words.x >> 16u, words.y, words.y >> 16u));
}

// w = scale q + least for a group of weights in each of four rows.
struct Scales { scale: vec4f, least: vec4f }

// The scale and the least value of one row, which is in its place among four.
fn w_scale(row: u32, group: u32, groups: u32) -> vec2f {
    let four = w_scales_of(row / 4u * groups + group);
    return vec2f(four.scale[row % 4u], four.least[row % 4u]);
}

// The low halves of the four bytes of `word`.
fn nibbles(word: u32) -> vec4f {
    return vec4f(vec4i((vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(15u)));
}

// The four signed bytes of `word`.
fn signed_bytes(word: u32) -> vec4f {
    return vec4f(bitcast<vec4i>(vec4u(word) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u));
}

// The lowest four bits of `bits`, each as 16 or 0: the fifth bits of four weights.
fn fifth_bits(bits: u32) -> vec4f {
    return vec4f(vec4i((vec4u(bits) << vec4u(4u, 3u, 2u, 1u)) & vec4u(16u)));
}

// The sixteen nibbles of two words as bytes.
fn nibble_bytes(words: vec2u) -> vec4u {
    return vec4u(words.x, words.x >> 4u, words.y, words.y >> 4u) & vec4u(0x0f0f0f0fu);
}

// The lowest sixteen bits of `bits`, each as a byte of 16 or 0. The product puts bit k of four at bit 8 k.
fn fifth_bytes(bits: u32) -> vec4u {
    let fours = (vec4u(bits) >> vec4u(0u, 4u, 8u, 12u)) & vec4u(15u);
    return ((fours * 0x00204081u) & vec4u(0x01010101u)) << vec4u(4u);
}
