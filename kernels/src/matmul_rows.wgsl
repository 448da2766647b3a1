// matmul_rows: Y = X W^T for eight tokens, for adapters that run on the CPU.
// A lane has four rows of W to itself and unpacks each group of 32 weights once for eight tokens.
// Bound: reads weights once per eight tokens; 2 rows cols tokens operations.
// Sockets: format, xs, finish.

const GROUPS = X_LENGTH / 64u; // of a row

struct Params { rows: u32, cols: u32, y_start: u32, y_stride: u32, token_start: u32 }

@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // (tokens, y_stride)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(num_workgroups) all: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = ((at.y * all.x + at.x) * LANES + lane) * 4u;
    let four = min(row, params.rows - 1u) / 4u * GROUPS;
    let rows = min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u)) * GROUPS; // rows past the end repeat the last

    var token0 = vec4f(0.0); // a token's results for the four rows
    var token1 = vec4f(0.0);
    var token2 = vec4f(0.0);
    var token3 = vec4f(0.0);
    var token4 = vec4f(0.0);
    var token5 = vec4f(0.0);
    var token6 = vec4f(0.0);
    var token7 = vec4f(0.0);
    for (var group = 0u; group < GROUPS; group++) {
        let s = w_scales_of(four + group);
        let w = Four(weights(rows.x + group, s.scale.x, s.least.x), weights(rows.y + group, s.scale.y, s.least.y),
            weights(rows.z + group, s.scale.z, s.least.z), weights(rows.w + group, s.scale.w, s.least.w));
        token0 += products(w, x[group]);
        token1 += products(w, x[group + GROUPS]);
        token2 += products(w, x[group + 2u * GROUPS]);
        token3 += products(w, x[group + 3u * GROUPS]);
        token4 += products(w, x[group + 4u * GROUPS]);
        token5 += products(w, x[group + 5u * GROUPS]);
        token6 += products(w, x[group + 6u * GROUPS]);
        token7 += products(w, x[group + 7u * GROUPS]);
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

// A group of weights of four rows.
struct Four { p: Group, q: Group, r: Group, s: Group }

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

fn put(t: u32, row: u32, v: vec4f) {
    let token = params.token_start + t;
    let start = token * params.y_stride + params.y_start;
    if token < state.count && row < params.rows { finish(start, row, v.xy); }
    if token < state.count && row + 2u < params.rows { finish(start, row + 2u, v.zw); }
}
