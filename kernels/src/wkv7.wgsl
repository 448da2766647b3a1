// wkv7: the state of RWKV-7 (Peng et al. 2025, eq. 15 to 21) over the rows of each sequence, head by head.
//     S = diag(decay) S + u b^T + k v^T, with u = S^T (-c); y = (norm(S^T r) + v (k r r_k)) gate, with c of unit length and b = a c.
// A workgroup takes a head of a sequence, a lane one column of S, which it holds over all rows of the pass; the first lanes
// make what all columns share of a row, four keys each. Two barriers a row: what is written before the second was last read
// before the first of the next row. Bound: reads and writes S once a pass, and the row's inputs once.
// Sockets: values.
// Loops with constant ends are unrolled.

struct Params { heads: u32, rkv_stride: u32, made_stride: u32, first_stride: u32, first_start: u32, y_stride: u32, eps: f32 }

const FOURS = HEAD_DIM / 4u;
const DECAY = -0.60653066; // -exp(-1/2)

@group(0) @binding(0) var<storage, read> wkv_vectors: array<vec4f>;   // (7, channels / 4): k_k, k_a, r_k, the norm's weight, its bias, those of decays and rates; an eighth of shares
@group(0) @binding(1) var<storage, read> rkv: array<vec4f>;           // (tokens, rkv_stride / 4): r, keys, values
@group(0) @binding(2) var<storage, read> made: array<vec4f>;          // (tokens, made_stride / 4): decays, rates, gates, shares, before their biases
@group(0) @binding(4) var<storage, read_write> y: array<f32>;         // (tokens, y_stride)
@group(0) @binding(5) var<storage, read_write> wkv_state: array<f32>; // (sequences, heads, HEAD_DIM, HEAD_DIM): keys by values
@group(0) @binding(8) var<uniform> params: Params;

// Of a row: r, the decays, the keys, what is taken out before its length is known, that times a.
var<workgroup> rs: array<vec4f, FOURS>;
var<workgroup> ws: array<vec4f, FOURS>;
var<workgroup> ks: array<vec4f, FOURS>;
var<workgroup> cs: array<vec4f, FOURS>;
var<workgroup> bs: array<vec4f, FOURS>;
var<workgroup> bonuses: array<f32, FOURS>;
var<workgroup> results: array<f32, HEAD_DIM>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let sequence = group.x / params.heads;
    let head = group.x % params.heads;
    var row = next_row(0u, sequence);
    if row >= rows.count { return; }

    let col = min(lane, HEAD_DIM - 1u); // lanes past the end repeat the last
    let place = group.x * HEAD_DIM * HEAD_DIM + col;
    var s = array<vec4f, FOURS>();
    for (var j = 0u; j < FOURS; j++) { s[j] = read_state(place + j * 4u * HEAD_DIM); }
    while row < rows.count {
        if rows.row[row].position == 0u {
            for (var j = 0u; j < FOURS; j++) { s[j] = vec4f(); }
        }
        if lane < FOURS { share(row, head, lane); }
        workgroupBarrier();
        var square = 0.0;
        var bonus = 0.0;
        var known = 0.0;
        for (var j = 0u; j < FOURS; j++) {
            square += dot(cs[j], cs[j]);
            bonus += bonuses[j];
            known += dot(s[j], cs[j]);
        }
        let unit = 1.0 / max(sqrt(square), 1e-12);
        let taken = -known * unit * unit;
        let channel = head * HEAD_DIM + col;
        let value = value_of(rkv[four_of(row * params.rkv_stride, 2u, channel)][channel % 4u], row, channel);
        var sum = 0.0;
        for (var j = 0u; j < FOURS; j++) {
            s[j] = fma(s[j], ws[j], fma(bs[j], vec4f(taken), ks[j] * value));
            sum += dot(s[j], rs[j]);
        }
        if lane < HEAD_DIM { results[lane] = sum; }
        workgroupBarrier();
        let normed = norm_of(sum, channel);
        if lane < HEAD_DIM { y[row * params.y_stride + channel] = fma(value, bonus, normed) * made_of(row, 2u, channel); }
        row = next_row(row + 1u, sequence);
    }
    if lane < HEAD_DIM {
        for (var j = 0u; j < FOURS; j++) { write_state(place + j * 4u * HEAD_DIM, s[j]); }
    }
}

// What all columns of a head share of a row, of the keys 4 lane to 4 lane + 3.
fn share(row: u32, head: u32, lane: u32) {
    let channel = head * HEAD_DIM + 4u * lane;
    let r = rkv[four_of(row * params.rkv_stride, 0u, channel)];
    let k = rkv[four_of(row * params.rkv_stride, 1u, channel)];
    let decay = made[four_of(row * params.made_stride, 0u, channel)] + wkv_vectors[four_of(0u, 5u, channel)];
    let rate = sigmoid4(made[four_of(row * params.made_stride, 1u, channel)] + wkv_vectors[four_of(0u, 6u, channel)]);
    let c = k * wkv_vectors[four_of(0u, 0u, channel)];
    let key = k * fma(rate - 1.0, wkv_vectors[four_of(0u, 1u, channel)], vec4f(1.0));
    rs[lane] = r;
    ws[lane] = vec4f(decay_of(decay.x), decay_of(decay.y), decay_of(decay.z), decay_of(decay.w));
    ks[lane] = key;
    cs[lane] = c;
    bs[lane] = c * rate;
    bonuses[lane] = dot(r * key, wkv_vectors[four_of(0u, 2u, channel)]);
}

// Where a channel lies in the part `number` of what begins at `start`, in fours.
fn four_of(start: u32, number: u32, channel: u32) -> u32 { return start / 4u + number * params.heads * FOURS + channel / 4u; }

fn made_of(row: u32, number: u32, channel: u32) -> f32 {
    return made[four_of(row * params.made_stride, number, channel)][channel % 4u];
}

fn vector_of(number: u32, channel: u32) -> f32 { return wkv_vectors[four_of(0u, number, channel)][channel % 4u]; }

fn sigmoid4(v: vec4f) -> vec4f { return vec4f(sigmoid(v.x), sigmoid(v.y), sigmoid(v.z), sigmoid(v.w)); }

fn decay_of(x: f32) -> f32 { return exp_of(DECAY * sigmoid(x)); }

// LayerNorm of a head's results, for one of them.
fn norm_of(v: f32, channel: u32) -> f32 {
    var sum = 0.0;
    for (var j = 0u; j < HEAD_DIM; j++) { sum += results[j]; }
    let mean = sum / f32(HEAD_DIM);
    var squares = 0.0;
    for (var j = 0u; j < HEAD_DIM; j++) { squares = fma(results[j] - mean, results[j] - mean, squares); }
    let scale = inverseSqrt(squares / f32(HEAD_DIM) + params.eps);
    return fma((v - mean) * scale, vector_of(3u, channel), vector_of(4u, channel));
}

// Four neighbouring keys of a column.
fn read_state(from_state: u32) -> vec4f {
    return vec4f(
        wkv_state[from_state],
        wkv_state[from_state + HEAD_DIM],
        wkv_state[from_state + 2u * HEAD_DIM],
        wkv_state[from_state + 3u * HEAD_DIM],
    );
}

fn write_state(to_state: u32, four: vec4f) {
    wkv_state[to_state] = four.x;
    wkv_state[to_state + HEAD_DIM] = four.y;
    wkv_state[to_state + 2u * HEAD_DIM] = four.z;
    wkv_state[to_state + 3u * HEAD_DIM] = four.w;
}
