// attention_join: one attention of one token from those of PARTS parts of the positions, a head a workgroup.
// Each part's sums are worth exp(its maximum - the maximum of all). Bound: reads a few sums a head.
// Sockets: none.

const PAIRS = HEAD_DIM / 2u;

@group(0) @binding(3) var<storage, read> partial: array<vec2f>;    // (heads, PARTS, head size / 2 sums and one of maximum, total)
@group(0) @binding(4) var<storage, read_write> y: array<vec2f>;    // (heads, head size / 2)

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let head = wg.id.x * PARTS * (PAIRS + 1u);
    var most = partial[head + PAIRS].x;
    for (var part = 1u; part < PARTS; part++) { most = max(most, partial[head + part * (PAIRS + 1u) + PAIRS].x); }
    var total = 0.0;
    for (var part = 0u; part < PARTS; part++) {
        let share = partial[head + part * (PAIRS + 1u) + PAIRS];
        total += exp(share.x - most) * share.y;
    }
    for (var pair = at.lane; pair < PAIRS; pair += WORKGROUP_SIZE) {
        var sum = vec2f(0.0);
        for (var part = 0u; part < PARTS; part++) {
            let first = head + part * (PAIRS + 1u);
            sum += exp(partial[first + PAIRS].x - most) * partial[first + pair];
        }
        y[wg.id.x * PAIRS + pair] = sum / total;
    }
}
