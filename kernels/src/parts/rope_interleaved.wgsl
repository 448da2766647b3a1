// Neighbours make a pair, as GGUF files of the Llama family have them.
fn rotated(head: Head, i: u32, position: u32) -> vec4f {
    let four = four_of(head, i);
    let pair = i * 2u;
    var result = four;
    if pair + 1u < params.pairs {
        let a = angles[position * params.pairs + pair];
        let b = angles[position * params.pairs + pair + 1u];
        result = vec4f(
            four.x * a.x - four.y * a.y, four.x * a.y + four.y * a.x, four.z * b.x - four.w * b.y, four.z * b.y + four.w * b.x,
        );
    } else if pair < params.pairs {
        let a = angles[position * params.pairs + pair];
        result = vec4f(four.x * a.x - four.y * a.y, four.x * a.y + four.y * a.x, four.zw);
    }
    return result;
}
