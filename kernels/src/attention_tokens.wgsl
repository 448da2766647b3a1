// attention_tokens: attention for WORKGROUP_SIZE tokens, one a lane, and HEADS query heads a workgroup, which is one subgroup.
// The lanes read a key together, and each has every part of it from the lane that read it; the same for values. So no
// score crosses lanes. All rows are of one sequence, in the order of their positions. The running maximum m, sum l
// and rescaling by alpha follow Milakov & Gimelshein 2018.
// Bound: reads keys and values up to the last token once for WORKGROUP_SIZE tokens and HEADS heads.
// Sockets: cache, scores, cells; the lanes come with the variant.
// Loops with constant ends are unrolled.

const QUARTER = HEAD_DIM / 4u;        // of a head's keys: they are read four at a time
const VALUE_QUARTER = VALUE_DIM / 4u; // and so are values
const STEPS = (QUARTER + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE; // reads of WORKGROUP_SIZE fours
const VALUE_STEPS = (VALUE_QUARTER + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;
const MIN = -3.0e38;                  // WGSL promises no infinities

@group(0) @binding(3) var<storage, read> qkv: array<vec4f>;        // (tokens, q_stride / 4): tokens rounded up to WORKGROUP_SIZE
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;    // (tokens, y_stride / 4)

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let token = wg.id.y * WORKGROUP_SIZE + at.lane;
    let head = wg.id.x * HEADS;                                // the first of this workgroup
    let first_cell = head / GROUP * params.head_cells;         // of it in the cache
    let sequence = rows.row[0].sequence;
    let last_row = rows.count - 1u;
    let begin = seen_begin(rows.row[min(wg.id.y * WORKGROUP_SIZE, last_row)].position);
    let end = seen_end(min((wg.id.y + 1u) * WORKGROUP_SIZE - 1u, last_row));
    let row = min(token, last_row);                            // lanes past the end repeat the last
    let own_position = rows.row[row].position;
    let own_begin = seen_begin(own_position);
    let own_end = seen_end(row);

    var q = array<array<vec4f, STEPS * WORKGROUP_SIZE>, HEADS>();             // zero past the head
    var acc = array<array<vec4f, VALUE_STEPS * WORKGROUP_SIZE>, HEADS>();
    var m = array<f32, HEADS>();
    var l = array<f32, HEADS>();
    for (var h = 0u; h < HEADS; h++) {
        let first = first_ml(head + h, 0u);
        m[h] = first.x;
        l[h] = first.y;
        let from_four = token * params.q_stride / 4u + (head + h) * QUARTER;
        for (var i = 0u; i < QUARTER; i++) { q[h][i] = qkv[from_four + i] * params.scale; }
    }
    for (var position = begin; position < end; position++) {
        let place = first_cell + cell(sequence, position);
        let there = position < own_end && position >= own_begin;
        var scores = array<vec4f, HEADS>();
        for (var s = 0u; s < STEPS; s++) {
            let own = key4(place * QUARTER + min(s * WORKGROUP_SIZE + at.lane, QUARTER - 1u));
            for (var i = 0u; i < WORKGROUP_SIZE; i++) {
                let four = subgroupShuffle(own, i);
                for (var h = 0u; h < HEADS; h++) { scores[h] = fma(q[h][s * WORKGROUP_SIZE + i], four, scores[h]); }
            }
        }
        var weights = array<f32, HEADS>();
        for (var h = 0u; h < HEADS; h++) {
            let sum = scores[h].x + scores[h].y + scores[h].z + scores[h].w;
            let score = select(MIN, scored(sum, head + h, own_position, position), there);
            let new_m = max(m[h], score);
            let alpha = exp(m[h] - new_m);
            m[h] = new_m;
            weights[h] = select(0.0, exp(score - new_m), there);
            l[h] = l[h] * alpha + weights[h];
            for (var i = 0u; i < VALUE_STEPS * WORKGROUP_SIZE; i++) { acc[h][i] *= alpha; }
        }
        for (var s = 0u; s < VALUE_STEPS; s++) {
            let own = value4(place * (params.value_cell / 4u) + min(s * WORKGROUP_SIZE + at.lane, VALUE_QUARTER - 1u));
            for (var i = 0u; i < WORKGROUP_SIZE; i++) {
                let four = subgroupShuffle(own, i);
                for (var h = 0u; h < HEADS; h++) { acc[h][s * WORKGROUP_SIZE + i] = fma(vec4f(weights[h]), four, acc[h][s * WORKGROUP_SIZE + i]); }
            }
        }
    }
    if token >= rows.count { return; }
    for (var h = 0u; h < HEADS; h++) {
        let to_four = token * params.y_stride / 4u + (head + h) * VALUE_QUARTER;
        for (var i = 0u; i < VALUE_QUARTER; i++) { y[to_four + i] = acc[h][i] / l[h]; }
    }
}
