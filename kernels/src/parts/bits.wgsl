// Bits of quantised blocks as numbers. Conversions go through i32: from u32 they cost several instructions on CPUs.

// Activations as numbers of `w_group` meet them.
fn stepped(v: Group) -> Group {
    return Group(v.a * W_STEP, v.b * W_STEP, v.c * W_STEP, v.d * W_STEP, v.e * W_STEP, v.f * W_STEP, v.g * W_STEP, v.h * W_STEP);
}

// w = scale q + least for a group of weights in each of four rows.
struct Scales { scale: vec4f, least: vec4f } // q is what w_group has, times the format's W_STEP

// The scale and the least value of one row, which is in its place among four.
fn w_scale(row: u32, group: u32, groups: u32) -> vec2f {
    let four = w_scales_of(row / 4u * groups + group);
    return vec2f(four.scale[row % 4u], four.least[row % 4u]);
}

// The low halves of the four bytes of `word`, where they lie: times NIBBLES they are the numbers.
fn nibbles(word: u32) -> vec4f {
    return vec4f(vec4i(vec4u(word) & vec4u(0xfu, 0xf00u, 0xf0000u, 0xf000000u)));
}
// The lowest four bits of `bits` above those of `nibbles`: the fifth bits of four weights.
fn fifth_bits(bits: u32) -> vec4f {
    return vec4f(vec4i((vec4u(bits) << vec4u(4u, 11u, 18u, 25u)) & vec4u(0x10u, 0x1000u, 0x100000u, 0x10000000u)));
}
const NIBBLES = vec4f(1.0, 0.00390625, 0.0000152587890625, 5.9604644775390625e-8); // powers of 1/256

// The four signed bytes of `word`, as the upper bytes of words: times BYTES they are the numbers.
fn signed_bytes(word: u32) -> vec4f {
    return vec4f(bitcast<vec4i>((vec4u(word) << vec4u(24u, 16u, 8u, 0u)) & vec4u(0xff000000u)));
}
const BYTES = vec4f(5.9604644775390625e-8); // 2^-24

// The sixteen nibbles of two words as bytes.
fn nibble_bytes(words: vec2u) -> vec4u {
    return vec4u(words.x, words.x >> 4u, words.y, words.y >> 4u) & vec4u(0x0f0f0f0fu);
}

// The lowest sixteen bits of `bits`, each as a byte of 16 or 0. The product puts bit k of four at bit 8 k.
fn fifth_bytes(bits: u32) -> vec4u {
    let fours = (vec4u(bits) >> vec4u(0u, 4u, 8u, 12u)) & vec4u(15u);
    return ((fours * 0x00204081u) & vec4u(0x01010101u)) << vec4u(4u);
}
