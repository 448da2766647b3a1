// A value of the first half of what is rotated makes a pair with one of the second, as GPT-NeoX has them: lanes of the first
// half take both. The number of pairs is a multiple of 4.
fn rotate(four: Four, i: u32, position: u32) {
    let half = params.pairs / 4u;
    if i >= half * 2u { keep(four, 0u, qkv[four.place]); }
    if i >= half { return; }
    let first = qkv[four.place];
    let second = qkv[four.place + half];
    let start = position * params.pairs + i * 4u;
    let a = angles[start];
    let b = angles[start + 1u];
    let c = angles[start + 2u];
    let d = angles[start + 3u];
    let cosines = vec4f(a.x, b.x, c.x, d.x);
    let sines = vec4f(a.y, b.y, c.y, d.y);
    keep(four, 0u, first * cosines - second * sines);
    keep(four, half, first * sines + second * cosines);
}
