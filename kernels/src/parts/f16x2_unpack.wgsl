// f16 by the built-in function: some GPUs flush denormals in it, adapters that run on the CPU do not, and are faster by far.

// The four f16 in two words.
fn f16x4(words: vec2u) -> vec4f { return vec4f(unpack2x16float(words.x), unpack2x16float(words.y)); }

// Two f16 in each word: scales below mins.
fn f16x2_scales(words: vec4u) -> Scales {
    let a = unpack2x16float(words.x);
    let b = unpack2x16float(words.y);
    let c = unpack2x16float(words.z);
    let d = unpack2x16float(words.w);
    return Scales(vec4f(a.x, b.x, c.x, d.x), vec4f(a.y, b.y, c.y, d.y));
}
