// The lanes of a workgroup read q and k of a row together, one row ahead, and compute the gates of as many rows as they are;
// the keys of a column are in slices of several lanes. Two barriers a row: what is written before the first was last read
// before the last row's second, or lies in two halves that take turns.
// Loops with constant ends are unrolled.
const KEY_SLICES = WORKGROUP_SIZE / VALUES;
const SLICE = (KEY_DIM / 4u + KEY_SLICES - 1u) / KEY_SLICES;   // fours of a lane's keys
const PADDED = SLICE * KEY_SLICES;                             // fours of q, zeros up to whole slices; as many of k
const READS = (2u * PADDED + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;              // of those, a lane's

var<workgroup> qk: array<vec4f, 4u * PADDED>;        // halves of q, k
var<workgroup> gates_shared: array<vec2f, 2u * WORKGROUP_SIZE>; // halves of decay and beta of WORKGROUP_SIZE rows
var<workgroup> products: array<vec2f, WORKGROUP_SIZE>;        // (KEY_SLICES, VALUES): sk, sq
var<workgroup> lengths: array<vec4f, KEY_SLICES>;    // kk, qq, kq

var<private> qk_half: u32;
var<private> gates_half: u32;
var<private> gates_row: u32;   // the first row that has its gates there
var<private> gates_end: u32;
var<private> ahead_qk: array<vec4f, READS>;
var<private> ahead_v: f32;

fn read_ahead(row: u32, at: Lane) {
    let from_q = key_place(row, params.q_start, at.head);
    let from_k = key_place(row, params.k_start, at.head);
    for (var j = 0u; j < READS; j++) {
        let i = j * WORKGROUP_SIZE + at.index;
        if i < 2u * PADDED && i % PADDED < KEY_FOURS { ahead_qk[j] = qkv[select(from_q, from_k, i >= PADDED) + i % PADDED]; }
    }
    ahead_v = value_of(row, at);
}

fn take_row(row: u32, at: Lane) -> Inputs {
    qk_half = 2u * PADDED - qk_half;
    for (var j = 0u; j < READS; j++) {
        let i = j * WORKGROUP_SIZE + at.index;
        if i < 2u * PADDED { qk[qk_half + i] = ahead_qk[j]; }
    }
    if row >= gates_end {
        gates_half = WORKGROUP_SIZE - gates_half;
        gates_row = row;
        gates_end = row + WORKGROUP_SIZE;
        gates_shared[gates_half + at.index] = decay_and_beta(min(row + at.index, rows.count - 1u), at.head);
    }
    workgroupBarrier();
    let gate = gates_shared[gates_half + row - gates_row];
    return Inputs(ahead_v, gate.x, gate.y);
}

fn q4(four: u32) -> vec4f { return qk[qk_half + four]; }
fn k4(four: u32) -> vec4f { return qk[qk_half + PADDED + four]; }

fn total(sums: Sums, at: Lane) -> Sums {
    products[at.index] = vec2f(sums.sk, sums.sq);
    if at.index % VALUES == 0u { lengths[at.slice] = vec4f(sums.kk, sums.qq, sums.kq, 0.0); }
    workgroupBarrier();
    var product = vec2f();
    var length = vec4f();
    for (var i = 0u; i < KEY_SLICES; i++) {
        product += products[i * VALUES + at.index % VALUES];
        length += lengths[i];
    }
    return Sums(product.x, product.y, length.x, length.y, length.z);
}
