// The f16 in the low halves of `bits`, exact for denormals too, which unpack2x16float may flush. No infinities.
fn f16_of_bits(bits: vec4u) -> vec4f {
    let sign = (bits & vec4u(0x8000u)) << vec4u(16u);
    let normal = bitcast<vec4f>(sign | (((bits & vec4u(0x7fffu)) << vec4u(13u)) + vec4u(0x38000000u)));
    let denormal = vec4f(vec4i(bits & vec4u(0x3ffu))) * bitcast<vec4f>(vec4u(0x33800000u) | sign); // 2^-24
    return select(normal, denormal, (bits & vec4u(0x7c00u)) == vec4u(0u));
}

// The four f16 in two words.
fn f16x4(words: vec2u) -> vec4f {
    return f16_of_bits(vec4u(words.x, words.x >> 16u, words.y, words.y >> 16u));
}

// Two f16 in each word: scales below mins.
fn f16x2_scales(words: vec4u) -> Scales { return Scales(f16_of_bits(words), f16_of_bits(words >> vec4u(16u))); }
