// matmul_rows: Y = X W^T for eight tokens, for adapters that run on the CPU.
// A lane has two rows of W to itself and unpacks each group of 32 weights once for eight tokens. X lies in a uniform
// buffer, which such adapters read at a shared index many times faster than storage.
// Bound: reads weights once per eight tokens; 2 rows cols tokens operations.
// Sockets: format, finish.

struct Params { rows: u32, cols: u32, y_start: u32, y_stride: u32, token_start: u32 }

@group(0) @binding(3) var<uniform> x: array<vec4f, X_LENGTH>;   // (8 tokens, padded cols / 4)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // (tokens, y_stride)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(num_workgroups) all: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = ((at.y * all.x + at.x) * LANES + lane) * 2u;
    let stride = X_LENGTH / 8u;
    let groups = stride / 8u;
    let last = params.rows - 1u; // rows past the end repeat the last
    let first_w = min(row, last) * groups;
    let second_w = min(row + 1u, last) * groups;

    var first_low = vec4f(0.0); // the first row's results for tokens 0 to 3
    var first_high = vec4f(0.0);
    var second_low = vec4f(0.0);
    var second_high = vec4f(0.0);
    for (var group = 0u; group < groups; group++) {
        let i = group * 8u;
        let p = weights(first_w + group);
        let q = weights(second_w + group);
        first_low += four(p, i, stride);
        second_low += four(q, i, stride);
        first_high += four(p, i + 4u * stride, stride);
        second_high += four(q, i + 4u * stride, stride);
    }
    put(0u, row, vec2f(first_low.x, second_low.x));
    put(1u, row, vec2f(first_low.y, second_low.y));
    put(2u, row, vec2f(first_low.z, second_low.z));
    put(3u, row, vec2f(first_low.w, second_low.w));
    put(4u, row, vec2f(first_high.x, second_high.x));
    put(5u, row, vec2f(first_high.y, second_high.y));
    put(6u, row, vec2f(first_high.z, second_high.z));
    put(7u, row, vec2f(first_high.w, second_high.w));
}

fn weights(group: u32) -> Group {
    let scale = w_scale(group);
    let q = w_group(group);
    return Group(q.a * scale.x + scale.y, q.b * scale.x + scale.y, q.c * scale.x + scale.y, q.d * scale.x + scale.y,
        q.e * scale.x + scale.y, q.f * scale.x + scale.y, q.g * scale.x + scale.y, q.h * scale.x + scale.y);
}

// A group's products with four tokens from x[i] on.
fn four(w: Group, i: u32, stride: u32) -> vec4f {
    return vec4f(one(w, i), one(w, i + stride), one(w, i + 2u * stride), one(w, i + 3u * stride));
}

fn one(w: Group, i: u32) -> f32 {
    let v = w.a * x[i] + w.b * x[i + 1u] + w.c * x[i + 2u] + w.d * x[i + 3u]
        + w.e * x[i + 4u] + w.f * x[i + 5u] + w.g * x[i + 6u] + w.h * x[i + 7u];
    return v.x + v.y + v.z + v.w;
}

fn put(t: u32, row: u32, v: vec2f) {
    let token = params.token_start + t;
    if token < state.count && row < params.rows { finish(token * params.y_stride + params.y_start, row, v); }
}
