// KV_SPLITS workgroups have a share of one token's positions each; `attention_combine` makes one result of theirs. A share
// without positions counts nothing.
@group(0) @binding(4) var<storage, read_write> y: array<vec2f>; // (heads, KV_SPLITS, value_dim / 2 + 1): acc, and (m, l)

fn split_start(begin: u32, end: u32, split: u32) -> u32 {
    let steps = (end - begin + KV_SPLITS * WORKGROUP_SIZE - 1u) / (KV_SPLITS * WORKGROUP_SIZE);
    return min(begin + split * steps * WORKGROUP_SIZE, end);
}
fn put(token: u32, head: u32, pair: u32, split: u32, v: vec2f, sum: f32) {
    y[(head * KV_SPLITS + split) * (PAIRS + 1u) + pair] = v;
}
fn put_ml(head: u32, split: u32, lane: u32, ml: vec2f) {
    if lane == 0u { y[(head * KV_SPLITS + split) * (PAIRS + 1u) + PAIRS] = ml; }
}
