// attention_combine: one attention of one token from those of KV_SPLITS shares of the positions, a head a workgroup.
// Each counts exp(its m - the m of all). Bound: reads a few sums a head.
// Sockets: none.

const PAIRS = VALUE_DIM / 2u;

@group(0) @binding(3) var<storage, read> partial: array<vec2f>;    // (heads, KV_SPLITS, value_dim / 2 + 1): acc, and (m, l)
@group(0) @binding(4) var<storage, read_write> y: array<vec2f>;    // (heads, value_dim / 2)

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let head = wg.id.x * KV_SPLITS * (PAIRS + 1u);
    var m = partial[head + PAIRS].x;
    for (var split = 1u; split < KV_SPLITS; split++) { m = max(m, partial[head + split * (PAIRS + 1u) + PAIRS].x); }
    var l = 0.0;
    for (var split = 0u; split < KV_SPLITS; split++) {
        let ml = partial[head + split * (PAIRS + 1u) + PAIRS];
        l += exp(ml.x - m) * ml.y;
    }
    for (var pair = at.lane; pair < PAIRS; pair += WORKGROUP_SIZE) {
        var sum = vec2f(0.0);
        for (var split = 0u; split < KV_SPLITS; split++) {
            let first = head + split * (PAIRS + 1u);
            sum += exp(partial[first + PAIRS].x - m) * partial[first + pair];
        }
        y[wg.id.x * PAIRS + pair] = sum / l;
    }
}
