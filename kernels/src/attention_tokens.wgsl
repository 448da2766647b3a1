// attention_tokens: attention for LANES tokens, one a lane, and HEADS query heads a workgroup, which is one subgroup.
// The lanes read a key together, and each has every part of it from the lane that read it; the same for values. So no
// score crosses lanes. The running maximum and sum follow Milakov & Gimelshein 2018.
// Bound: reads keys and values up to the last token once for LANES tokens and HEADS heads.
// Sockets: cache, scores, window; the lanes come with the variant.

struct Params { kv_heads: u32, q_stride: u32, y_stride: u32, scale: f32, cap: f32, window: u32, ring: u32 }

const PAIRS = HEAD / 2u;                          // of a head: values are read two at a time
const STEPS = (PAIRS + LANES - 1u) / LANES;       // reads of LANES pairs
const LEAST = -3.0e38;                            // WGSL promises no infinities

@group(0) @binding(3) var<storage, read> qkv: array<vec2f>;        // (tokens rounded up to LANES, q_stride / 2)
@group(0) @binding(4) var<storage, read_write> y: array<vec2f>;    // (tokens, y_stride / 2)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn main(at: Invocation, wg: Workgroup) {
    let token = wg.id.y * LANES + at.lane;
    let head = wg.id.x * HEADS;                                // the first of this workgroup
    let row = params.kv_heads * PAIRS;                            // from a position to the next
    let kv = head / GROUP * PAIRS;
    let count = state.position + token + 1u;
    let end = state.position + min((wg.id.y + 1u) * LANES, state.count);

    var q = array<array<vec2f, STEPS * LANES>, HEADS>();             // zero past the head
    var sums = array<array<vec2f, STEPS * LANES>, HEADS>();
    var most = array<f32, HEADS>();
    var total = array<f32, HEADS>();
    for (var h = 0u; h < HEADS; h++) {
        most[h] = LEAST;
        let from_pair = token * params.q_stride / 2u + (head + h) * PAIRS;
        for (var i = 0u; i < PAIRS; i++) { q[h][i] = qkv[from_pair + i] * params.scale; }
    }
    for (var position = window_start(state.position + wg.id.y * LANES + 1u); position < end; position++) {
        let from_pair = place_of(position) * row + kv;
        let there = position < count && position >= window_start(count);
        var scores = array<vec2f, HEADS>();
        for (var s = 0u; s < STEPS; s++) {
            let own = key_pair(from_pair + min(s * LANES + at.lane, PAIRS - 1u));
            for (var i = 0u; i < LANES; i++) {
                let pair = subgroupShuffle(own, i);
                for (var h = 0u; h < HEADS; h++) { scores[h] += q[h][s * LANES + i] * pair; }
            }
        }
        var shares = array<f32, HEADS>();
        for (var h = 0u; h < HEADS; h++) {
            let score = select(LEAST, scored(scores[h].x + scores[h].y), there);
            let new_most = max(most[h], score);
            let shrink = exp(most[h] - new_most);
            most[h] = new_most;
            shares[h] = select(0.0, exp(score - new_most), there);
            total[h] = total[h] * shrink + shares[h];
            for (var i = 0u; i < STEPS * LANES; i++) { sums[h][i] *= shrink; }
        }
        for (var s = 0u; s < STEPS; s++) {
            let own = value_pair(from_pair + min(s * LANES + at.lane, PAIRS - 1u));
            for (var i = 0u; i < LANES; i++) {
                let pair = subgroupShuffle(own, i);
                for (var h = 0u; h < HEADS; h++) { sums[h][s * LANES + i] += shares[h] * pair; }
            }
        }
    }
    if token >= state.count { return; }
    for (var h = 0u; h < HEADS; h++) {
        let to_pair = token * params.y_stride / 2u + (head + h) * PAIRS;
        for (var i = 0u; i < PAIRS; i++) { y[to_pair + i] = sums[h][i] / total[h]; }
    }
}
