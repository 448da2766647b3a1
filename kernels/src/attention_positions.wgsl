// attention_positions: attention for one token and HEADS query heads a workgroup, which is one subgroup of WORKGROUP_SIZE.
// WORKGROUP_SIZE positions at a time: a lane scores one position, queries come from the lane that holds them; then the lanes
// hold eight values of each head every 8 WORKGROUP_SIZE, and the weights of positions come from the lanes that scored them.
// The running maximum m, sum l and rescaling by alpha follow Milakov & Gimelshein 2018.
// Bound: reads keys and values up to the token once for HEADS heads.
// Workgroups in z have a share of the positions each. Sockets: cache, scores, cells, ending; the lanes come with the variant.
// Loops with constant ends are unrolled.

const PAIRS = VALUE_DIM / 2u;         // of a head's values: results are written two at a time
const EIGHTH = HEAD_DIM / 8u;         // of a head's keys: they are read eight at a time
const VALUE_EIGHTH = VALUE_DIM / 8u;  // and so are values
const STEPS = (EIGHTH + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE; // of queries, a lane's
const VALUE_STEPS = (VALUE_EIGHTH + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;
const LOADS = min(WORKGROUP_SIZE, EIGHTH); // of keys, in a step
const MIN = -3.0e38;                  // WGSL promises no infinities

@group(0) @binding(3) var<storage, read> qkv: array<vec4f>;        // (tokens, q_stride / 4)

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    // Past the end the last again: a return would cost llvmpipe what it knows of indices that all lanes share.
    let token = min(wg.id.y, rows.count - 1u);
    let head = wg.id.x * HEADS;                                // the first of this workgroup
    let first_cell = head / GROUP * params.head_cells;         // of it in the cache
    let sequence = rows.row[token].sequence;
    let position = rows.row[token].position;
    let begin = split_start(seen_begin(position), seen_end(token), wg.id.z);
    let end = split_start(seen_begin(position), seen_end(token), wg.id.z + 1u);

    var q = array<array<Eight, STEPS>, HEADS>();
    var acc = array<array<Eight, VALUE_STEPS>, HEADS>();
    var m = array<f32, HEADS>();
    var l = array<f32, HEADS>();
    for (var h = 0u; h < HEADS; h++) {
        let first = first_ml(head + h, wg.id.z);
        m[h] = first.x;
        l[h] = select(0.0, first.y, at.lane == 0u); // the lanes' are summed at the end
        for (var s = 0u; s < STEPS; s++) {
            q[h][s] = query_eight(token, head + h, s * WORKGROUP_SIZE + at.lane);
        }
    }
    for (var start = begin; start < end; start += WORKGROUP_SIZE) {
        let there = start + at.lane < end;
        let k = (first_cell + cell(sequence, min(start + at.lane, end - 1u))) * EIGHTH;
        var scores = array<vec4f, HEADS>();
        for (var s = 0u; s < STEPS; s++) {
            var some = array<vec4f, HEADS>(); // of a step by itself, for one long sum would round more
            for (var i = 0u; i < LOADS; i++) {
                let own = key8(k + min(s * WORKGROUP_SIZE + i, EIGHTH - 1u)); // past the end q is zero
                for (var h = 0u; h < HEADS; h++) {
                    some[h] = fma(own.a, subgroupShuffle(q[h][s].a, i), some[h]);
                    some[h] = fma(own.b, subgroupShuffle(q[h][s].b, i), some[h]);
                }
            }
            for (var h = 0u; h < HEADS; h++) { scores[h] += some[h]; }
        }
        var weights = array<f32, HEADS>();
        for (var h = 0u; h < HEADS; h++) {
            let sum = scores[h].x + scores[h].y + scores[h].z + scores[h].w;
            let score = select(MIN, scored(sum, head + h, position, start + at.lane), there);
            let new_m = max(m[h], subgroupMax(score));
            let alpha = exp(m[h] - new_m);
            m[h] = new_m;
            weights[h] = select(0.0, exp(score - new_m), there);
            l[h] = l[h] * alpha + weights[h];
            for (var s = 0u; s < VALUE_STEPS; s++) { acc[h][s] = Eight(acc[h][s].a * alpha, acc[h][s].b * alpha); }
        }
        for (var i = 0u; i < WORKGROUP_SIZE; i++) {
            let place = first_cell + cell(sequence, min(start + i, end - 1u)); // past the end the weight is zero
            let v = place * (params.value_cell / 8u);
            var weight = array<f32, HEADS>();
            for (var h = 0u; h < HEADS; h++) { weight[h] = subgroupShuffle(weights[h], i); }
            for (var s = 0u; s < VALUE_STEPS; s++) {
                let own = value8(v + min(s * WORKGROUP_SIZE + at.lane, VALUE_EIGHTH - 1u));
                for (var h = 0u; h < HEADS; h++) {
                    acc[h][s] = Eight(fma(vec4f(weight[h]), own.a, acc[h][s].a), fma(vec4f(weight[h]), own.b, acc[h][s].b));
                }
            }
        }
    }
    for (var h = 0u; h < HEADS; h++) {
        let sum = subgroupAdd(l[h]);
        for (var s = 0u; s < VALUE_STEPS; s++) {
            let eight = s * WORKGROUP_SIZE + at.lane;
            if eight < VALUE_EIGHTH { put_eight(token, head + h, eight, wg.id.z, acc[h][s], sum); }
        }
        put_ml(head + h, wg.id.z, at.lane, vec2f(m[h], sum));
    }
}

// Eight values of a query, scaled; past the end of the head zeros.
fn query_eight(token: u32, head: u32, eight: u32) -> Eight {
    let from_four = token * params.q_stride / 4u + head * EIGHTH * 2u + min(eight, EIGHTH - 1u) * 2u;
    let scale = select(0.0, params.scale, eight < EIGHTH);
    return Eight(qkv[from_four] * scale, qkv[from_four + 1u] * scale);
}

fn put_eight(token: u32, head: u32, eight: u32, split: u32, v: Eight, sum: f32) {
    put(token, head, 4u * eight, split, v.a.xy, sum);
    put(token, head, 4u * eight + 1u, split, v.a.zw, sum);
    put(token, head, 4u * eight + 2u, split, v.b.xy, sum);
    put(token, head, 4u * eight + 3u, split, v.b.zw, sum);
}
