// One workgroup has all positions: its results are the attention.
@group(0) @binding(4) var<storage, read_write> y: array<vec2f>;    // (tokens, y_stride / 2)

fn split_start(begin: u32, end: u32, split: u32) -> u32 { return select(begin, end, split > 0u); }
fn put(token: u32, head: u32, pair: u32, split: u32, v: vec2f, sum: f32) {
    y[token * params.y_stride / 2u + head * PAIRS + pair] = v / sum;
}
fn put_ml(head: u32, split: u32, lane: u32, ml: vec2f) {}
