// 32 values as nibbles from 0 to 15 for -8 to 7: a block's scale, an f32, before their four words. The largest becomes -8.
const WORDS = 5u;

struct Block { words: array<u32, WORDS> }

// The word of a block that has its four values `four`.
fn word_of(four: u32) -> u32 { return 1u + four / 2u; }

// The four values of `word`, number `four` of the block.
fn unpacked(word: u32, four: u32, scale: u32) -> vec4f {
    let q = (vec4u(word >> (four % 2u * 16u)) >> vec4u(0u, 4u, 8u, 12u)) & vec4u(15u);
    return (vec4f(vec4i(q)) - 8.0) * bitcast<f32>(scale);
}

// `furthest` is the value furthest from 0.
fn packed(v: array<vec4f, 8>, furthest: f32) -> Block {
    let scale = furthest / -8.0;
    let inverse = select(0.0, 1.0 / scale, scale != 0.0);
    var block = Block(array<u32, WORDS>());
    block.words[0] = bitcast<u32>(scale);
    for (var i = 0u; i < 8u; i++) {
        let q = vec4u(clamp(vec4i(floor(v[i] * inverse + 8.5)), vec4i(0), vec4i(15)));
        block.words[i / 2u + 1u] |= (q.x | (q.y << 4u) | (q.z << 8u) | (q.w << 12u)) << (i % 2u * 16u);
    }
    return block;
}
