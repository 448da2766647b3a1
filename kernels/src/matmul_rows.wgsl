// matmul_rows: Y = X W^T for up to TOKENS tokens, four or eight.
// LANES_PER_ROW lanes share ROWS rows of W, 4 or 8, and unpack each group of 32 weights once for all tokens; with
// LANES_PER_ROW = 1, for adapters that run on the CPU, a lane has them to itself.
// Bound: reads weights once; 2 rows cols tokens operations.
// Compilers of such adapters take long for it: so one shader serves every epilogue, which is a parameter. Sockets: format, xs, gates;
// reduce and group come with the variant.

struct Params { rows: u32, cols: u32, y_start: u32, y_stride: u32, token_start: u32, epilogue: u32 }

@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // (tokens, y_stride)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let groups = (params.cols + 31u) / 32u;
    let index = (wg.id.y * wg.count.x + wg.id.x) * (WORKGROUP_SIZE / LANES_PER_ROW) + at.lane / LANES_PER_ROW;
    let row = index * ROWS;
    let last = params.rows - 1u;
    let four = min(row, last) / 4u * groups;
    let w_rows = places(row, groups);
    let next_four = min(row + 4u, last) / 4u * groups;
    let next_rows = places(row + 4u, groups);

    var token0 = Results();
    var token1 = Results();
    var token2 = Results();
    var token3 = Results();
    var token4 = Results();
    var token5 = Results();
    var token6 = Results();
    var token7 = Results();
    let count = tokens_computed();
    for (var first = 0u; first < groups; first += LANES_PER_ROW) {
        x_begin(first, groups, count, at);
        let own = first + at.lane % LANES_PER_ROW;
        let group = min(own, groups - 1u); // past the end activations are 0
        let w = four_rows(four + group, w_rows + group);
        var next = Four();
        if ROWS == 8u { next = four_rows(next_four + group, next_rows + group); }
        token0 = added(token0, w, next, x_group(0u, own, groups, at));
        if count > 1u { token1 = added(token1, w, next, x_group(1u, own, groups, at)); }
        if count > 2u { token2 = added(token2, w, next, x_group(2u, own, groups, at)); }
        if count > 3u { token3 = added(token3, w, next, x_group(3u, own, groups, at)); }
        if count > 4u { token4 = added(token4, w, next, x_group(4u, own, groups, at)); }
        if count > 5u { token5 = added(token5, w, next, x_group(5u, own, groups, at)); }
        if count > 6u { token6 = added(token6, w, next, x_group(6u, own, groups, at)); }
        if count > 7u { token7 = added(token7, w, next, x_group(7u, own, groups, at)); }
    }
    // One token after the other, for each is as much code as a group of its products.
    let end = min(rows.count, params.token_start + TOKENS);
    for (var token = params.token_start; token < end; token++) {
        let start = token * params.y_stride + params.y_start;
        put_four(start, row, row_sum4(token0.low, at), at);
        if ROWS == 8u { put_four(start, row + 4u, row_sum4(token0.high, at), at); }
        token0 = token1;
        token1 = token2;
        token2 = token3;
        token3 = token4;
        token4 = token5;
        token5 = token6;
        token6 = token7;
    }
}

// Places of four rows; rows past the end repeat the last.
fn places(row: u32, groups: u32) -> vec4u {
    return min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u)) * groups;
}

// A token's results for four rows, and for the next four.
struct Results { low: vec4f, high: vec4f }

fn added(sums: Results, w: Four, next: Four, v: Group) -> Results {
    var high = sums.high;
    if ROWS == 8u { high += products(next, v); }
    return Results(sums.low + products(w, v), high);
}

// A group of weights of four rows.
struct Four { p: Group, q: Group, r: Group, s: Group }

fn four_rows(four: u32, rows: vec4u) -> Four {
    let s = w_scales_of(four);
    return Four(weights(rows.x, s.scale.x, s.min.x), weights(rows.y, s.scale.y, s.min.y),
        weights(rows.z, s.scale.z, s.min.z), weights(rows.w, s.scale.w, s.min.w));
}

fn weights(group: u32, scale: f32, w_min: f32) -> Group {
    let q = w_group(group);
    let s = scale * W_STEP;
    return Group(q.a * s + w_min, q.b * s + w_min, q.c * s + w_min, q.d * s + w_min,
        q.e * s + w_min, q.f * s + w_min, q.g * s + w_min, q.h * s + w_min);
}

// A group's products with one token.
fn products(w: Four, v: Group) -> vec4f {
    return vec4f(group_dot(w.p, v), group_dot(w.q, v), group_dot(w.r, v), group_dot(w.s, v));
}

fn put_four(start: u32, row: u32, v: vec4f, at: Invocation) {
    if at.lane % LANES_PER_ROW != 0u { return; }
    if row < params.rows { put_two(start, row, v.xy); }
    if row + 2u < params.rows { put_two(start, row + 2u, v.zw); }
}

// `Epilogue`, by number.
const ADD = 1u;
const GLU = 2u;

// The results of two rows; of a gated unit the one that is of both.
fn put_two(start: u32, row: u32, v: vec2f) {
    let glu = params.epilogue == GLU;
    let at = start + select(row, row / 2u, glu);
    y[at] = finished(select(y[at], v.x, glu), select(v.x, v.y, glu));
    if !glu && row + 1u < params.rows { y[at + 1u] = finished(y[at + 1u], v.y); }
}

// Without branches, for all sides of one would be computed.
fn finished(before: f32, v: f32) -> f32 {
    let gated = activated(before) * v;
    return select(select(v, before + v, params.epilogue == ADD), gated, params.epilogue >= GLU);
}
