// wkv7: the state of RWKV-7 (Peng et al. 2025, eq. 15 to 21) over the rows of each sequence, head by head.
//     S = diag(decay) S + u b^T + k v^T, with u = S^T (-c); y = norm(S^T r) + v (k r r_k), with c of unit length and b = a c.
// A workgroup takes a head of a sequence, a lane one column of S, which it holds over all rows of the pass; the first lanes
// make what all columns share of a row, four keys each. Two barriers a row: what is written before the second was last read
// before the first of the next row. Bound: reads and writes S once a pass, and the row's inputs once.
// Loops with constant ends are unrolled.

struct Params { heads: u32, stride: u32, eps: f32 }

const FOURS = HEAD_DIM / 4u;
const DECAY = -0.60653066; // -exp(-1/2)

@group(0) @binding(0) var<storage, read> wkv_vectors: array<vec4f>;   // (5, channels / 4): k_k, k_a, r_k, the norm's weight, its bias
@group(0) @binding(1) var<storage, read> decays: array<vec4f>;        // (tokens, stride / 4): before their sigmoid
@group(0) @binding(2) var<storage, read> rates: array<vec4f>;         // (tokens, stride / 4): a
@group(0) @binding(3) var<storage, read> k: array<vec4f>;             // (tokens, stride / 4)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;         // (tokens, stride): first r
@group(0) @binding(5) var<storage, read_write> wkv_state: array<f32>; // (sequences, heads, HEAD_DIM, HEAD_DIM): keys by values
@group(0) @binding(6) var<storage, read> v: array<f32>;               // (tokens, stride)
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
        let value = v[row * params.stride + head * HEAD_DIM + col];
        var sum = 0.0;
        for (var j = 0u; j < FOURS; j++) {
            s[j] = fma(s[j], ws[j], fma(bs[j], vec4f(taken), ks[j] * value));
            sum += dot(s[j], rs[j]);
        }
        if lane < HEAD_DIM { results[lane] = sum; }
        workgroupBarrier();
        let normed = norm_of(sum, head * HEAD_DIM + col);
        if lane < HEAD_DIM { y[row * params.stride + head * HEAD_DIM + lane] = fma(value, bonus, normed); }
        row = next_row(row + 1u, sequence);
    }
    if lane < HEAD_DIM {
        for (var j = 0u; j < FOURS; j++) { write_state(place + j * 4u * HEAD_DIM, s[j]); }
    }
}

// What all columns of a head share of a row, of the keys 4 lane to 4 lane + 3.
fn share(row: u32, head: u32, lane: u32) {
    let four = head * FOURS + lane;
    let place = row * params.stride / 4u + four;
    let vector = params.heads * FOURS;
    let from_r = row * params.stride + four * 4u;
    let r = vec4f(y[from_r], y[from_r + 1u], y[from_r + 2u], y[from_r + 3u]);
    let rate = rates[place];
    let c = k[place] * wkv_vectors[four];
    let key = k[place] * fma(rate - 1.0, wkv_vectors[vector + four], vec4f(1.0));
    let decay = decays[place];
    rs[lane] = r;
    ws[lane] = vec4f(decay_of(decay.x), decay_of(decay.y), decay_of(decay.z), decay_of(decay.w));
    ks[lane] = key;
    cs[lane] = c;
    bs[lane] = c * rate;
    bonuses[lane] = dot(r * key, wkv_vectors[2u * vector + four]);
}

fn decay_of(x: f32) -> f32 { return exp_of(DECAY * sigmoid(x)); }

// LayerNorm of a head's results, for one of them.
fn norm_of(v: f32, channel: u32) -> f32 {
    var sum = 0.0;
    for (var j = 0u; j < HEAD_DIM; j++) { sum += results[j]; }
    let mean = sum / f32(HEAD_DIM);
    var squares = 0.0;
    for (var j = 0u; j < HEAD_DIM; j++) { squares = fma(results[j] - mean, results[j] - mean, squares); }
    let scale = inverseSqrt(squares / f32(HEAD_DIM) + params.eps);
    let vector = params.heads * FOURS;
    let weight = wkv_vectors[3u * vector + channel / 4u][channel % 4u];
    let bias = wkv_vectors[4u * vector + channel / 4u][channel % 4u];
    return fma((v - mean) * scale, weight, bias);
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
