// delta_net_weights: how the rows of a chunk of the gated delta rule depend on each other (Yang et al. 2024, arXiv 2412.06464,
// section 3.3). With g the sum of logarithms of decays from the chunk's begin to a row, and q and k of unit length:
//     A[i][j] = beta_i exp(g_i - g_j) k_i k_j for j < i;  X = (1 + A)^-1 diag(beta);  P[i][j] = exp(g_i - g_j) q_i k_j for j <= i
// X turns what rows bring into what the state learns from each, P what it learns into results. A row's row of X is what is
// left of its own unit vector after the rows before it (forward substitution), four rows at a time.
// A workgroup takes CHUNK rows of a value head of the only sequence, a lane a row's gates, then a column of A, X and P.
// Bound: CHUNK key products of each row, 2 KEY_DIM fused multiply-adds each. Sockets: none.
// Loops with constant ends are unrolled.

struct Params {
    value_heads: u32, key_heads: u32, repeat: u32, eps: f32,
    qkv_stride: u32, q_start: u32, k_start: u32,
    gates_stride: u32, alpha_start: u32, beta_start: u32,
}

const KEY_FOURS = KEY_DIM / 4u;
const FOURS = CHUNK / 4u;                       // of a chunk's rows
const FROM_P = CHUNK * CHUNK;                   // behind X: what is where in the weights of a chunk and head
const FROM_KNOWN = 2u * CHUNK * CHUNK;          // factor of a row's key on the state before the chunk
const FROM_QUERIES = FROM_KNOWN + CHUNK;        // factor of its query on that
const FROM_LEARNT = FROM_QUERIES + CHUNK;       // factor of its key on what the state learns, decayed to the chunk's end
const FROM_DECAY = FROM_LEARNT + CHUNK;         // the decay of the whole chunk, four times

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;   // (tokens, qkv_stride / 4)
@group(0) @binding(1) var<storage, read> gates: array<f32>;   // (tokens, gates_stride): logits of alpha and beta
@group(0) @binding(4) var<storage, read_write> chunk_weights: array<f32>; // (chunks, value_heads, WEIGHTS): see FROM_P
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> logs: array<f32, CHUNK>;    // of each row's decay
var<workgroup> totals: array<vec2f, CHUNK>; // g, and what rounding has left of it
var<workgroup> scales: array<vec4f, CHUNK>; // scale of q, scale of k, beta
var<workgroup> below: array<vec4f, 2u * FOURS * (FOURS + 1u)>; // A: of each four rows, columns up to their last

var<private> column: array<vec4f, FOURS>; // of X: four rows

// Lane, first row of the chunk, rows, value head, first of its weights.
struct Chunk { lane: u32, first: u32, count: u32, head: u32, weights: u32 }

@compute @workgroup_size(CHUNK)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let first = min(group.x * CHUNK, rows.count);
    let count = min(rows.count - first, CHUNK);
    let at = Chunk(lane, first, count, group.y, (group.x * params.value_heads + group.y) * WEIGHTS);
    if lane < count { measure(at); }
    workgroupBarrier();
    if lane < count { totals[lane] = total(lane); }
    workgroupBarrier();
    if count > 0u { multiply(at); }
    workgroupBarrier();
    if count > 0u { substitute(at); }
}

// Lengths of a row's q and k, its decay and beta.
fn measure(at: Chunk) {
    let row = at.first + at.lane;
    let from_q = key_place(row, params.q_start, at.head);
    let from_k = key_place(row, params.k_start, at.head);
    var qq = 0.0;
    var kk = 0.0;
    for (var four = 0u; four < KEY_FOURS; four++) {
        let q = qkv[from_q + four];
        let k = qkv[from_k + four];
        qq = fma4(q, q, qq);
        kk = fma4(k, k, kk);
    }
    let q_scale = inverseSqrt((qq + params.eps) * f32(KEY_DIM));
    scales[at.lane] = vec4f(q_scale, inverseSqrt(kk + params.eps), beta_of(row, at.head), 0.0);
    logs[at.lane] = log_decay(row, at.head);
}

// g of a row, in two parts (Knuth's two-sum): of what differs by little after large decays, the difference counts.
fn total(i: u32) -> vec2f {
    var sum = 0.0;
    var rest = 0.0;
    for (var j = 0u; j <= i; j++) {
        let more = logs[j];
        let next = sum + more;
        let added = next - sum;
        rest += (sum - (next - added)) + (more - added);
        sum = next;
    }
    return vec2f(sum, rest);
}

// exp(g_i - g_j), 0 above the diagonal.
fn decay_between(i: u32, j: u32) -> f32 {
    let difference = totals[i] - totals[j];
    return select(0.0, exp_of(min(difference.x + difference.y, 0.0)), j <= i);
}

// A lane's column of A and P, four rows at a time.
fn multiply(at: Chunk) {
    let last = at.count - 1u;
    let j = at.lane;
    let from_own = key_place(at.first + min(j, last), params.k_start, at.head);
    var key = array<vec4f, KEY_FOURS>();
    for (var four = 0u; four < KEY_FOURS; four++) { key[four] = qkv[from_own + four]; }
    let own_scale = scales[min(j, last)].y * f32(j < at.count);
    for (var i4 = 0u; i4 * 4u < CHUNK; i4++) {
        var kk = vec4f();
        var qk = vec4f();
        let from_q = places(i4, params.q_start, at.head, at.first, at.count);
        let from_k = places(i4, params.k_start, at.head, at.first, at.count);
        for (var four = 0u; four < KEY_FOURS; four++) {
            kk = products(from_k + vec4u(four), key[four], kk);
            qk = products(from_q + vec4u(four), key[four], qk);
        }
        var beneath = vec4f();
        for (var u = 0u; u < 4u; u++) {
            let i = i4 * 4u + u;
            let scale = scales[min(i, last)];
            let decay = decay_between(min(i, last), j) * own_scale * f32(i < at.count);
            chunk_weights[at.weights + FROM_P + i * CHUNK + j] = decay * scale.x * qk[u];
            beneath[u] = select(0.0, decay * scale.y * scale.z * kk[u], j < i);
        }
        if j < i4 * 4u + 4u { below[2u * i4 * (i4 + 1u) + j] = beneath; }
    }
    put_factors(at);
}

// A lane's column of X, four rows at a time.
fn substitute(at: Chunk) {
    let j = at.lane;
    let beta = scales[min(j, at.count - 1u)].z * f32(j < at.count);
    for (var i4 = 0u; i4 * 4u < CHUNK; i4++) {
        let from_a = 2u * i4 * (i4 + 1u);
        var x = select(vec4f(), vec4f(beta), vec4u(j) == vec4u(i4 * 4u) + vec4u(0u, 1u, 2u, 3u));
        for (var l4 = 0u; l4 < i4; l4++) {
            let before = column[l4];
            let from_l = from_a + l4 * 4u;
            x = fma(-below[from_l], vec4f(before.x), x);
            x = fma(-below[from_l + 1u], vec4f(before.y), x);
            x = fma(-below[from_l + 2u], vec4f(before.z), x);
            x = fma(-below[from_l + 3u], vec4f(before.w), x);
        }
        x = fma(-below[from_a + i4 * 4u], vec4f(x.x), x);
        x = fma(-below[from_a + i4 * 4u + 1u], vec4f(x.y), x);
        x = fma(-below[from_a + i4 * 4u + 2u], vec4f(x.z), x);
        column[i4] = x;
        for (var u = 0u; u < 4u; u++) { chunk_weights[at.weights + (i4 * 4u + u) * CHUNK + j] = x[u]; }
    }
}

// What the lane's row reads of the state before the chunk, and what the state after it learns of it.
fn put_factors(at: Chunk) {
    let last = at.count - 1u;
    let own = min(at.lane, last);
    let there = f32(at.lane < at.count);
    let since = exp_of(totals[own].x + totals[own].y) * there;
    let scale = scales[own];
    let to = at.weights + at.lane;
    chunk_weights[to + FROM_KNOWN] = since * scale.y;
    chunk_weights[to + FROM_QUERIES] = since * scale.x;
    chunk_weights[to + FROM_LEARNT] = decay_between(last, own) * scale.y * there;
    if at.lane < 4u { chunk_weights[to + FROM_DECAY] = exp_of(totals[last].x + totals[last].y); }
}
