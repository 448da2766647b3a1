// Neighbours make a pair, as GGUF files of the Llama family have them.
fn rotate(four: Four, i: u32, position: u32) {
    let v = qkv[four.place];
    let pair = i * 2u;
    var rotated = v;
    if pair + 1u < params.pairs {
        let a = angles[position * params.pairs + pair];
        let b = angles[position * params.pairs + pair + 1u];
        rotated = vec4f(v.x * a.x - v.y * a.y, v.x * a.y + v.y * a.x, v.z * b.x - v.w * b.y, v.z * b.y + v.w * b.x);
    } else if pair < params.pairs {
        let a = angles[position * params.pairs + pair];
        rotated = vec4f(v.x * a.x - v.y * a.y, v.x * a.y + v.y * a.x, v.zw);
    }
    keep(four, 0u, rotated);
}
