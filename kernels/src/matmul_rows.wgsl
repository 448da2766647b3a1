// matmul_rows: Y = X W^T for eight tokens, for adapters that run on the CPU.
// A lane has ROWS rows of W to itself, 4 or 8, and unpacks each group of 32 weights once for eight tokens.
// Bound: reads weights once per eight tokens; 2 rows cols tokens operations.
// Compilers of such adapters take long for it: so one shader serves every epilogue, which is a parameter. Sockets: format, xs, gates;
// group comes with the variant.

struct Params { rows: u32, cols: u32, y_start: u32, y_stride: u32, token_start: u32, epilogue: u32 }

@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // (tokens, y_stride)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let groups = (params.cols + 31u) / 32u;
    let row = ((wg.id.y * wg.count.x + wg.id.x) * WORKGROUP_SIZE + at.lane) * ROWS;
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
    for (var group = 0u; group < groups; group++) {
        let w = four_rows(four + group, w_rows + group);
        var next = Four();
        if ROWS == 8u { next = four_rows(next_four + group, next_rows + group); }
        token0 = added(token0, w, next, x_group(group, at));
        token1 = added(token1, w, next, x_group(group + groups, at));
        token2 = added(token2, w, next, x_group(group + 2u * groups, at));
        token3 = added(token3, w, next, x_group(group + 3u * groups, at));
        token4 = added(token4, w, next, x_group(group + 4u * groups, at));
        token5 = added(token5, w, next, x_group(group + 5u * groups, at));
        token6 = added(token6, w, next, x_group(group + 6u * groups, at));
        token7 = added(token7, w, next, x_group(group + 7u * groups, at));
    }
    // One token after the other, for each is as much code as a group of its products.
    let end = min(rows.count, params.token_start + 8u);
    for (var token = params.token_start; token < end; token++) {
        let start = token * params.y_stride + params.y_start;
        put_four(start, row, token0.low);
        if ROWS == 8u { put_four(start, row + 4u, token0.high); }
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

fn put_four(start: u32, row: u32, v: vec4f) {
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
