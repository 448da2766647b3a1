// attention: softmax(q K^T scale) V in one pass over the cache; a workgroup takes one token and HEADS of the GROUP query
// heads that share a key and value head. WORKGROUP_SIZE positions at a time: a lane scores one position for every head, then
// the lanes split the heads' values among them. The running maximum m, sum l and rescaling by alpha follow Milakov &
// Gimelshein 2018.
// Bound: reads keys and values up to the token once for HEADS heads.
// Workgroups in z have a share of the positions each. Sockets: cache, scores, cells, ending; reduce comes with the variant.

const PAIRS = VALUE_DIM / 2u;         // of a head's values: results are written two at a time
const QUARTER = HEAD_DIM / 4u;        // of a head's keys: they are read four at a time
const VALUE_QUARTER = VALUE_DIM / 4u; // and so are values
const PER_LANE = (VALUE_QUARTER + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE; // of those, a lane's
const MIN = -3.0e38;                  // WGSL promises no infinities

@group(0) @binding(3) var<storage, read> qkv: array<vec4f>;        // (tokens, q_stride / 4)

var<workgroup> weights: array<f32, WORKGROUP_SIZE * HEADS>; // (positions in hand, heads)

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let first_cell = wg.id.x * HEADS / GROUP * params.head_cells; // of the head in the cache
    let token = wg.id.y;
    if token >= rows.count { return; }
    let head = wg.id.x * HEADS;                     // the first of this workgroup
    let q = token * params.q_stride / 4u + head * QUARTER;
    let sequence = rows.row[token].sequence;
    let position = rows.row[token].position;
    let seen = vec2u(seen_begin(position), seen_end(token));
    let end = split_start(seen.x, seen.y, wg.id.z + 1u);
    let begin = split_start(seen.x, seen.y, wg.id.z);

    var m = array<f32, HEADS>();
    var l = array<f32, HEADS>();
    var acc = array<array<vec4f, PER_LANE>, HEADS>();
    for (var h = 0u; h < HEADS; h++) {
        let first = first_ml(head + h, wg.id.z);
        m[h] = first.x;
        l[h] = first.y;
    }
    for (var start = begin; start < end; start += WORKGROUP_SIZE) {
        let k_start = (first_cell + cell(sequence, min(start + at.lane, end - 1u))) * QUARTER;
        let there = start + at.lane < end;
        var scores = array<vec4f, HEADS>();
        for (var i = 0u; i < QUARTER; i++) {
            let k = key4(k_start + i) * params.scale; // of large scores, a product at the end would round more
            for (var h = 0u; h < HEADS; h++) { scores[h] = fma(qkv[q + h * QUARTER + i], k, scores[h]); }
        }
        var alpha = array<f32, HEADS>();
        for (var h = 0u; h < HEADS; h++) {
            let sum = scores[h].x + scores[h].y + scores[h].z + scores[h].w;
            let score = select(MIN, scored(sum, head + h, position, start + at.lane), there);
            let new_m = max(m[h], reduce_max(score, at, wg));
            alpha[h] = exp(m[h] - new_m);
            m[h] = new_m;
            let weight = select(0.0, exp(score - new_m), there);
            weights[at.lane * HEADS + h] = weight;
            l[h] = l[h] * alpha[h] + reduce_sum(weight, at, wg);
        }
        workgroupBarrier();
        let some = min(WORKGROUP_SIZE, end - start);
        for (var s = 0u; s < PER_LANE; s++) {
            let i = min(s * WORKGROUP_SIZE + at.lane, VALUE_QUARTER - 1u); // lanes past the end repeat the last
            for (var h = 0u; h < HEADS; h++) { acc[h][s] *= alpha[h]; }
            for (var p = 0u; p < some; p++) {
                let v = value4((first_cell + cell(sequence, start + p)) * (params.value_cell / 4u) + i);
                for (var h = 0u; h < HEADS; h++) { acc[h][s] = fma(vec4f(weights[p * HEADS + h]), v, acc[h][s]); }
            }
        }
        workgroupBarrier(); // weights are written anew
    }
    for (var s = 0u; s < PER_LANE; s++) {
        let i = s * WORKGROUP_SIZE + at.lane;
        if i < VALUE_QUARTER {
            for (var h = 0u; h < HEADS; h++) {
                put(token, head + h, 2u * i, wg.id.z, acc[h][s].xy, l[h]);
                put(token, head + h, 2u * i + 1u, wg.id.z, acc[h][s].zw, l[h]);
            }
        }
    }
    for (var h = 0u; h < HEADS; h++) { put_ml(head + h, wg.id.z, at.lane, vec2f(m[h], l[h])); }
}
