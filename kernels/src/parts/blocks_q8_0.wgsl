// A block of 32 values as bytes from -127 to 127, after their scale.
const WORDS = 9u;

struct Block { words: array<u32, WORDS> }

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
