// Groups of 32 activations of STAGED_TOKENS tokens in workgroup memory, LANES_PER_ROW of each: written four neighbours by four
// neighbours, read group by group. A lane that reads a group of its own from a buffer touches another cache line than any other
// lane, eight times.
const STAGE_STRIDE = LANES_PER_ROW + 1u; // odd: lanes that write neighbours meet different banks
var<workgroup> stage: array<vec4f, STAGED_TOKENS * 8u * STAGE_STRIDE>;

fn stage_put(token: u32, four: u32, v: vec4f) { stage[(token * 8u + four % 8u) * STAGE_STRIDE + four / 8u] = v; }

fn staged(token: u32, group: u32) -> Group {
    let own = token * 8u * STAGE_STRIDE + group;
    return Group(stage[own], stage[own + STAGE_STRIDE], stage[own + 2u * STAGE_STRIDE], stage[own + 3u * STAGE_STRIDE],
        stage[own + 4u * STAGE_STRIDE], stage[own + 5u * STAGE_STRIDE], stage[own + 6u * STAGE_STRIDE],
        stage[own + 7u * STAGE_STRIDE]);
}
