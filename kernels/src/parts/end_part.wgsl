// PARTS workgroups have a part of the positions each, of one token; `attention_join` makes one result of theirs.
// A part without positions is worth nothing.
@group(0) @binding(4) var<storage, read_write> y: array<vec2f>; // (heads, PARTS, head_dim / 2 of acc, and (m, l))

fn part_start(begin: u32, end: u32, part: u32) -> u32 {
    return min(begin + part * ((end - begin + PARTS * WORKGROUP_SIZE - 1u) / (PARTS * WORKGROUP_SIZE) * WORKGROUP_SIZE), end);
}
fn put(token: u32, head: u32, pair: u32, part: u32, v: vec2f, sum: f32) {
    y[(head * PARTS + part) * (PAIRS + 1u) + pair] = v;
}
fn put_ml(head: u32, part: u32, lane: u32, ml: vec2f) {
    if lane == 0u { y[(head * PARTS + part) * (PAIRS + 1u) + PAIRS] = ml; }
}
