// matmul_rows: Y = X W^T for eight tokens, for adapters that run on the CPU.
// A lane has ROWS rows of W to itself, 4 or 8, and unpacks each group of 32 weights once for eight tokens.
// Bound: reads weights once per eight tokens; 2 rows cols tokens operations.
// Sockets: format, xs, finish.

const GROUPS = X_LENGTH / 64u; // of a row

struct Params { rows: u32, cols: u32, y_start: u32, y_stride: u32, token_start: u32 }

@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // (tokens, y_stride)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(num_workgroups) all: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = ((at.y * all.x + at.x) * LANES + lane) * ROWS;
    let last = params.rows - 1u;
    let four = four_place(min(row, last) / 4u, GROUPS);
    let rows = places(row);
    let next_four = four_place(min(row + 4u, last) / 4u, GROUPS);
    let next_rows = places(row + 4u);

    var token0 = Results();
    var token1 = Results();
    var token2 = Results();
    var token3 = Results();
    var token4 = Results();
    var token5 = Results();
    var token6 = Results();
    var token7 = Results();
    for (var group = 0u; group < GROUPS; group++) {
        let w = four_rows(four + four_step(group), rows + row_step(group));
        var next = Four();
        if ROWS == 8u { next = four_rows(next_four + four_step(group), next_rows + row_step(group)); }
        token0 = added(token0, w, next, x[group]);
        token1 = added(token1, w, next, x[group + GROUPS]);
        token2 = added(token2, w, next, x[group + 2u * GROUPS]);
        token3 = added(token3, w, next, x[group + 3u * GROUPS]);
        token4 = added(token4, w, next, x[group + 4u * GROUPS]);
        token5 = added(token5, w, next, x[group + 5u * GROUPS]);
        token6 = added(token6, w, next, x[group + 6u * GROUPS]);
        token7 = added(token7, w, next, x[group + 7u * GROUPS]);
    }
    put(0u, row, token0);
    put(1u, row, token1);
    put(2u, row, token2);
    put(3u, row, token3);
    put(4u, row, token4);
    put(5u, row, token5);
    put(6u, row, token6);
    put(7u, row, token7);
}

// Those of four rows; rows past the end repeat the last.
fn places(row: u32) -> vec4u {
    let rows = min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u));
    return vec4u(row_place(rows.x, GROUPS), row_place(rows.y, GROUPS), row_place(rows.z, GROUPS), row_place(rows.w, GROUPS));
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
    return Four(weights(rows.x, s.scale.x, s.least.x), weights(rows.y, s.scale.y, s.least.y),
        weights(rows.z, s.scale.z, s.least.z), weights(rows.w, s.scale.w, s.least.w));
}

fn weights(group: u32, scale: f32, least: f32) -> Group {
    let q = w_group(group);
    let s = scale * W_STEP;
    return Group(q.a * s + least, q.b * s + least, q.c * s + least, q.d * s + least,
        q.e * s + least, q.f * s + least, q.g * s + least, q.h * s + least);
}

// A group's products with one token.
fn products(w: Four, v: Group) -> vec4f {
    return vec4f(product(w.p, v), product(w.q, v), product(w.r, v), product(w.s, v));
}

fn product(w: Group, v: Group) -> f32 {
    let sum = w.a * v.a + w.b * v.b + w.c * v.c + w.d * v.d + w.e * v.e + w.f * v.f + w.g * v.g + w.h * v.h;
    return sum.x + sum.y + sum.z + sum.w;
}

fn put(t: u32, row: u32, v: Results) {
    put_four(t, row, v.low);
    if ROWS == 8u { put_four(t, row + 4u, v.high); }
}

fn put_four(t: u32, row: u32, v: vec4f) {
    let token = params.token_start + t;
    let start = token * params.y_stride + params.y_start;
    if token < state.count && row < params.rows { finish(start, row, v.xy); }
    if token < state.count && row + 2u < params.rows { finish(start, row + 2u, v.zw); }
}
