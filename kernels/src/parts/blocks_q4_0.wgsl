// A block of 32 values as nibbles from 0 to 15 for -8 to 7, after their scale: the largest becomes -8.
const WORDS = 5u;

struct Block { words: array<u32, WORDS> }

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
