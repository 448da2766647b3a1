// read: how fast this adapter reads memory: every lane folds its share of the vectors into one word.
// Bound: reads 16 TURNS bytes a lane.
// RUNS is 1 where a lane reads a run of its own, 0 where neighbouring lanes read neighbouring vectors.

struct Params { lanes: u32 }

@group(0) @binding(4) var<storage, read_write> sums: array<u32>; // (lanes)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let lane = (wg.id.y * wg.count.x + wg.id.x) * WORKGROUP_SIZE + at.lane;
    if lane >= params.lanes { return; }
    var folded = vec4u(0u);
    for (var turn = 0u; turn < TURNS; turn += 4u) {
        folded ^= quants4(place(lane, turn)) ^ quants4(place(lane, turn + 1u))
            ^ quants4(place(lane, turn + 2u)) ^ quants4(place(lane, turn + 3u));
    }
    sums[lane] = folded.x ^ folded.y ^ folded.z ^ folded.w;
}

fn place(lane: u32, turn: u32) -> u32 {
    if RUNS == 1u { return lane * TURNS + turn; }
    return turn * params.lanes + lane;
}
