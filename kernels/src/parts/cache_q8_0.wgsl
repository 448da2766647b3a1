// 32 values as bytes from -127 to 127: a block's scale, an f32, before their eight words.
const WORDS = 9u;

struct Block { words: array<u32, WORDS> }

// The word of a block that has its four values `four`.
fn word_of(four: u32) -> u32 { return 1u + four; }

// The four values of `word`, number `four` of the block.
fn unpacked(word: u32, four: u32, scale: u32) -> vec4f {
    return vec4f(bitcast<vec4i>(vec4u(word) * vec4u(0x1000000u, 0x10000u, 0x100u, 1u)) >> vec4u(24u)) * bitcast<f32>(scale);
}

// `furthest` is the value furthest from 0.
fn packed(v: array<vec4f, 8>, furthest: f32) -> Block {
    let scale = abs(furthest) / 127.0;
    let inverse = select(0.0, 1.0 / scale, scale > 0.0);
    var block = Block(array<u32, WORDS>());
    block.words[0] = bitcast<u32>(scale);
    for (var i = 0u; i < 8u; i++) {
        let q = bitcast<vec4u>(vec4i(round(v[i] * inverse))) & vec4u(255u);
        block.words[i + 1u] = q.x | (q.y << 8u) | (q.z << 16u) | (q.w << 24u);
    }
    return block;
}
