// delta_net_chunks: the gated delta rule over the rows of one sequence, CHUNK at a time (Yang et al. 2024, arXiv 2412.06464,
// section 3.3), with weights that `delta_net_weights` made. For a chunk's rows i of keys k, queries q and values v:
//     D = X (v - known_i S^T k); y = queries_i S^T q + P D; S = decay S + sum of learnt_i k D_i^T
// A workgroup takes VALUES columns of S of one value head and holds them in workgroup memory over the whole pass; a lane one column, and every
// ROW_LANES-th four rows. Bound: 3 KEY_DIM + CHUNK fused multiply-adds for each value. Sockets: none.
// Loops with constant ends are unrolled.

struct Params {
    value_heads: u32, key_heads: u32, repeat: u32, qkv_stride: u32,
    q_start: u32, k_start: u32, v_start: u32, y_stride: u32,
}

const KEY_FOURS = KEY_DIM / 4u;
const FOURS = CHUNK / 4u;                            // of a chunk's rows
const ROW_LANES = WORKGROUP_SIZE / VALUES;
const TURNS = (FOURS + ROW_LANES - 1u) / ROW_LANES;  // of a lane through a chunk's fours
const FROM_P = CHUNK * FOURS;                        // in fours: see `delta_net_weights`
const FROM_KNOWN = 2u * CHUNK * FOURS;
const FROM_QUERIES = FROM_KNOWN + FOURS;
const FROM_LEARNT = FROM_QUERIES + FOURS;
const FROM_DECAY = FROM_LEARNT + FOURS;

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;             // (tokens, qkv_stride / 4)
@group(0) @binding(1) var<storage, read> chunk_weights: array<vec4f>;   // (chunks, value_heads, WEIGHTS / 4)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;           // (tokens, y_stride): (value_heads, VALUE_DIM)
@group(0) @binding(5) var<storage, read_write> delta_state: array<f32>; // (sequences, value_heads, KEY_DIM, VALUE_DIM)
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> held: array<vec4f, KEY_FOURS * VALUES>; // S: four keys of a column
var<workgroup> brought: array<vec4f, FOURS * VALUES>;  // four rows of a column: v - known S^T k, then D

// A lane's column and its number among those that share the column; value head, first row of the chunk, its rows, its weights.
struct Lane { column: u32, index: u32, head: u32, value: u32, first: u32, count: u32, weights: u32 }

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let wanted = group.x * VALUES + lane % VALUES;
    let value = min(wanted, VALUE_DIM - 1u); // lanes past the end repeat the last
    var at = Lane(lane % VALUES, lane / VALUES, group.y, value, 0u, 0u, 0u);
    let place = group.y * KEY_DIM * VALUE_DIM + value;
    let begins = rows.row[0].position == 0u;
    for (var four = at.index; four < KEY_FOURS; four += ROW_LANES) {
        held[four * VALUES + at.column] = select(read_state(place, four), vec4f(), begins);
    }
    workgroupBarrier();
    for (var first = 0u; first < rows.count; first += CHUNK) {
        at.first = first;
        at.count = min(rows.count - first, CHUNK);
        at.weights = (first / CHUNK * params.value_heads + at.head) * (WEIGHTS / 4u);
        chunk(at, wanted < VALUE_DIM);
    }
    for (var four = at.index; four < KEY_FOURS; four += ROW_LANES) {
        if wanted < VALUE_DIM { write_state(place, four, held[four * VALUES + at.column]); }
    }
}

fn chunk(at: Lane, writes: bool) {
    var results = array<vec4f, TURNS>();
    for (var i4 = at.index; i4 * 4u < at.count; i4 += ROW_LANES) { results[i4 / ROW_LANES] = read_rows(i4, at); }
    workgroupBarrier();
    var learnt = array<vec4f, TURNS>();
    for (var i4 = at.index; i4 * 4u < at.count; i4 += ROW_LANES) {
        learnt[i4 / ROW_LANES] = weighed(i4, 0u, vec4f(), at);
    }
    workgroupBarrier();
    for (var i4 = at.index; i4 * 4u < at.count; i4 += ROW_LANES) {
        brought[i4 * VALUES + at.column] = select(vec4f(), learnt[i4 / ROW_LANES], rows_of(i4) < vec4u(at.count));
    }
    workgroupBarrier();
    for (var i4 = at.index; i4 * 4u < at.count; i4 += ROW_LANES) {
        let result = weighed(i4, FROM_P, results[i4 / ROW_LANES], at);
        if writes { write_rows(i4, result, at); }
    }
    for (var four = at.index; four < KEY_FOURS; four += ROW_LANES) { learn(four, at); }
    workgroupBarrier();
}

fn rows_of(i4: u32) -> vec4u { return vec4u(i4 * 4u) + vec4u(0u, 1u, 2u, 3u); }

// Puts four rows' v - known S^T k; returns their queries S^T q.
fn read_rows(i4: u32, at: Lane) -> vec4f {
    let from_k = places(i4, params.k_start, at.head, at.first, at.count);
    let from_q = places(i4, params.q_start, at.head, at.first, at.count);
    var sk = vec4f();
    var sq = vec4f();
    for (var four = 0u; four < KEY_FOURS; four++) {
        let state = held[four * VALUES + at.column];
        sk = products(from_k + vec4u(four), state, sk);
        sq = products(from_q + vec4u(four), state, sq);
    }
    let row = min(rows_of(i4), vec4u(at.count - 1u)) + vec4u(at.first);
    let v = vec4f(value_of(row.x, at), value_of(row.y, at), value_of(row.z, at), value_of(row.w, at));
    brought[i4 * VALUES + at.column] = fma(-chunk_weights[at.weights + FROM_KNOWN + i4], sk, v);
    return chunk_weights[at.weights + FROM_QUERIES + i4] * sq;
}

fn value_of(row: u32, at: Lane) -> f32 {
    let place = row * params.qkv_stride + params.v_start + at.head * VALUE_DIM + at.value;
    return qkv[place / 4u][place % 4u];
}

// Four rows of X, or of P, times the column's rows, added to `sums`.
fn weighed(i4: u32, start: u32, sums: vec4f, at: Lane) -> vec4f {
    var result = sums;
    let from_row = at.weights + start + i4 * CHUNK;
    for (var j4 = 0u; j4 <= i4; j4++) {
        let x = brought[j4 * VALUES + at.column];
        result.x = fma4(chunk_weights[from_row + j4], x, result.x);
        result.y = fma4(chunk_weights[from_row + FOURS + j4], x, result.y);
        result.z = fma4(chunk_weights[from_row + 2u * FOURS + j4], x, result.z);
        result.w = fma4(chunk_weights[from_row + 3u * FOURS + j4], x, result.w);
    }
    return result;
}

fn write_rows(i4: u32, result: vec4f, at: Lane) {
    let to = (at.first + i4 * 4u) * params.y_stride + at.head * VALUE_DIM + at.value;
    y[to] = result.x;
    if i4 * 4u + 1u < at.count { y[to + params.y_stride] = result.y; }
    if i4 * 4u + 2u < at.count { y[to + 2u * params.y_stride] = result.z; }
    if i4 * 4u + 3u < at.count { y[to + 3u * params.y_stride] = result.w; }
}

// Four keys of the column's S after the chunk.
fn learn(four: u32, at: Lane) {
    var state = chunk_weights[at.weights + FROM_DECAY] * held[four * VALUES + at.column];
    for (var i4 = 0u; i4 * 4u < at.count; i4++) {
        let x = chunk_weights[at.weights + FROM_LEARNT + i4] * brought[i4 * VALUES + at.column];
        let from_k = places(i4, params.k_start, at.head, at.first, at.count) + vec4u(four);
        state = fma(qkv[from_k.x], vec4f(x.x), state);
        state = fma(qkv[from_k.y], vec4f(x.y), state);
        state = fma(qkv[from_k.z], vec4f(x.z), state);
        state = fma(qkv[from_k.w], vec4f(x.w), state);
    }
    held[four * VALUES + at.column] = state;
}
