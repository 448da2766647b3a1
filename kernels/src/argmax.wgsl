// argmax: samples the likeliest token, the first of equals, and moves the pass on.
// A workgroup for each row sampled after; lanes stride over the vocabulary. Bound: reads the logits once.
// Sockets: none; reduce comes with the variant.

struct Params { vocab_size: u32, stride: u32 }

@group(0) @binding(3) var<storage, read> logits: array<f32>; // (rows, stride)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let start = wg.id.x * params.stride;
    var best = -3.0e38;
    var index = 0u;
    for (var i = at.lane; i < params.vocab_size; i += WORKGROUP_SIZE) {
        let v = logits[start + i];
        if is_lost(v) {
            best = LOST;
        } else if v > best {
            best = v;
            index = i;
        }
    }
    let max_logit = reduce_max(best, at, wg);
    // An index below 2^24 is exact as f32; the smallest wins.
    let first = -reduce_max(select(-16777216.0, -f32(index), best == max_logit), at, wg);
    if at.lane == 0u {
        let token = min(u32(first), params.vocab_size - 1u);
        advance(rows.row[sampled_row(wg)], token, max_logit < LOST, wg);
    }
}
