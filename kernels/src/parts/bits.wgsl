// Bits of quantised blocks as numbers. Conversions go through i32: from u32 they cost several instructions on CPUs. Bits move
// up by products: compilers make shifts of them where those are faster; SwiftShader shifts lane by lane.

// Activations as numbers of `w_group` meet them.
fn stepped(v: Group) -> Group {
    return Group(v.a * W_STEP, v.b * W_STEP, v.c * W_STEP, v.d * W_STEP, v.e * W_STEP, v.f * W_STEP, v.g * W_STEP, v.h * W_STEP);
}

// w = scale q + min for a group of weights in each of four rows.
struct Scales { scale: vec4f, min: vec4f } // q is what w_group has, times the format's W_STEP

// The scale and the min of one row, which is in its place among four.
fn w_scale(row: u32, group: u32, groups: u32) -> vec2f {
    let four = w_scales_of(row / 4u * groups + group);
    return vec2f(four.scale[row % 4u], four.min[row % 4u]);
}

// The products of a group of activations with a group of each of four rows, before their scales.
fn row_dots(groups: vec4u, x: Group) -> vec4f {
    return vec4f(group_dot(w_group(groups.x), x), group_dot(w_group(groups.y), x),
        group_dot(w_group(groups.z), x), group_dot(w_group(groups.w), x));
}

// The four bytes of `word`, each below 128, where they lie: times PLACES they are the numbers.
fn bytes_placed(word: u32) -> vec4f {
    return vec4f(vec4i(vec4u(word) & vec4u(0xffu, 0xff00u, 0xff0000u, 0xff000000u)));
}
const PLACES = vec4f(1.0, 0.00390625, 0.0000152587890625, 5.9604644775390625e-8); // powers of 1/256

// The low halves of the four bytes of `word`, likewise.
fn nibbles(word: u32) -> vec4f {
    return vec4f(vec4i(vec4u(word) & vec4u(0xfu, 0xf00u, 0xf0000u, 0xf000000u)));
}

// 32 weights of four bits: byte j of word i has that of weight 8 i + j below that of weight 8 i + 4 + j.
fn four_bits(q: vec4u) -> Group {
    return Group(nibbles(q.x), nibbles(q.x >> 4u), nibbles(q.y), nibbles(q.y >> 4u),
        nibbles(q.z), nibbles(q.z >> 4u), nibbles(q.w), nibbles(q.w >> 4u));
}

// 32 weights of five bits: four as in `four_bits`, and the fifth of weight 4 k + j is bit k of byte j of `high`.
fn five_bits(q: vec4u, high: u32) -> Group {
    return Group(with_fifth(q.x, high * 16u), with_fifth(q.x >> 4u, high * 8u),
        with_fifth(q.y, high * 4u), with_fifth(q.y >> 4u, high * 2u),
        with_fifth(q.z, high), with_fifth(q.z >> 4u, high >> 1u),
        with_fifth(q.w, high >> 2u), with_fifth(q.w >> 4u, high >> 3u));
}
fn with_fifth(low: u32, high: u32) -> vec4f {
    return bytes_placed((low & 0x0f0f0f0fu) | (high & 0x10101010u));
}

// Two of four words by whether `place` is odd, and a halfword of them by `place` below 8.
fn pair_of(words: vec4u, place: u32) -> vec2u { return select(words.xy, words.zw, place % 2u == 1u); }
fn half_of(words: vec4u, place: u32) -> u32 { return words[place / 2u] >> (place % 2u * 16u); }

// Byte `place`, 0 or 1, of each of four halfwords.
fn bytes_of_four(words: vec2u, place: u32) -> vec4f {
    let four = vec4u(words.x, words.x >> 16u, words.y, words.y >> 16u);
    return vec4f(vec4i((four >> vec4u(8u * place)) & vec4u(0xffu)));
}

// The two signed bytes of a halfword.
fn signed_pair(half: u32) -> vec2f { return vec2f(bitcast<vec2i>(vec2u(half * 0x1000000u, half * 0x10000u)) >> vec2u(24u)); }

// The four signed bytes of `word`, as the upper bytes of words: times BYTES they are the numbers.
fn signed_bytes(word: u32) -> vec4f {
    return vec4f(bitcast<vec4i>((vec4u(word) * vec4u(0x1000000u, 0x10000u, 0x100u, 1u)) & vec4u(0xff000000u)));
}
const BYTES = vec4f(5.9604644775390625e-8); // 2^-24

// Weights of `four_bits` by the table of iq4_nl: -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113. A polynomial,
// at most 0.44 off before it is rounded, costs far less than looking things up.
fn curved(q: Group) -> Group {
    return Group(curve(q.a), curve(q.b), curve(q.c), curve(q.d), curve(q.e), curve(q.f), curve(q.g), curve(q.h));
}
fn curve(q: vec4f) -> vec4f {
    let n = q * PLACES;
    return round(n * (n * (n * (n * 0.00158604 + 0.0310864) - 1.37193) + 24.1738) - 126.567);
}

// Twice the floats of 4 bits (E2M1), q their places by size: 1 to 15, 8 for 0. A polynomial, at most 0.43 off before it is
// rounded.
fn e2m1(q: vec4f) -> vec4f {
    let n = q * PLACES - 8.0;
    return round(n * (0.0192308 * (n * n) + 0.711538));
}

// Weights of `four_bits`, as bytes.
fn four_bits_bytes(q: vec4u) -> Bytes {
    let low = vec4u(0x0f0f0f0fu);
    return Bytes(vec4u(q.x, q.x >> 4u, q.y, q.y >> 4u) & low, vec4u(q.z, q.z >> 4u, q.w, q.w >> 4u) & low);
}

// Weights of `five_bits`, as bytes.
fn five_bits_bytes(q: vec4u, high: u32) -> Bytes {
    let w = four_bits_bytes(q);
    let fifth = vec4u(0x10101010u);
    return Bytes(w.a | (vec4u(high << 4u, high << 3u, high << 2u, high << 1u) & fifth),
        w.b | (vec4u(high, high >> 1u, high >> 2u, high >> 3u) & fifth));
}
