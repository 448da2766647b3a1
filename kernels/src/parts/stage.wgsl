// Groups of 32 activations in workgroup memory, one for each lane: written four neighbours by four neighbours, read group by
// group. A lane that reads a group of its own from a buffer touches another cache line than any other lane, eight times.
const STAGE_STRIDE = WORKGROUP_SIZE + 1u; // odd: lanes that write neighbours meet different banks
var<workgroup> stage: array<vec4f, 8u * STAGE_STRIDE>;

fn stage_put(four: u32, v: vec4f) { stage[four % 8u * STAGE_STRIDE + four / 8u] = v; }

fn staged(lane: u32) -> Group {
    return Group(stage[lane], stage[lane + STAGE_STRIDE], stage[lane + 2u * STAGE_STRIDE], stage[lane + 3u * STAGE_STRIDE],
        stage[lane + 4u * STAGE_STRIDE], stage[lane + 5u * STAGE_STRIDE], stage[lane + 6u * STAGE_STRIDE],
        stage[lane + 7u * STAGE_STRIDE]);
}
