// matvec: y = W x for the last token of a pass.
// SPLIT lanes share four rows, each taking every SPLIT-th group of 32 weights; with SPLIT = 1 a lane has rows of its
// own and reads x at an index that its workgroup shares. Bound: reads every weight byte once.
// Sockets: format, input, x, finish; reduce comes with the variant.

struct Params { rows: u32, cols: u32, y_start: u32, eps: f32 }

@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // (rows)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn main(at: Invocation) {
    let groups = (params.cols + 31u) / 32u;
    let start = x_start(groups * 8u);
    let index = at.group.y * at.groups.x + at.group.x;
    let row = (index * (LANES / SPLIT) + at.lane / SPLIT) * 4u;

    let rows = min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u)) * groups; // rows past the end repeat the last

    var sums = vec4f(0.0);
    var squares = 0.0;
    for (var group = at.lane % SPLIT; group < groups; group += SPLIT) {
        let i = group * 8u;
        let v = x_group(start + i, i);
        squares += v.squares;
        sums += vec4f(product(rows.x + group, v), product(rows.y + group, v), product(rows.z + group, v), product(rows.w + group, v));
    }

    let scale = input_scale(squares, at);
    let low = vec2f(reduce_sum(sums.x, at), reduce_sum(sums.y, at)) * scale;
    let high = vec2f(reduce_sum(sums.z, at), reduce_sum(sums.w, at)) * scale;
    if at.lane % SPLIT != 0u { return; }
    if row < params.rows { finish(params.y_start, row, low); }
    if row + 2u < params.rows { finish(params.y_start, row + 2u, high); }
}

fn product(group: u32, v: Activations) -> f32 {
    let scale = w_scale(group);
    let q = w_group(group);
    let sum = q.a * v.a + q.b * v.b + q.c * v.c + q.d * v.d + q.e * v.e + q.f * v.f + q.g * v.g + q.h * v.h;
    return scale.x * (sum.x + sum.y + sum.z + sum.w) + scale.y * v.total;
}

// 32 activations as the weights meet them, their sum, and the sum of their squares before.
struct Activations {
    a: vec4f, b: vec4f, c: vec4f, d: vec4f, e: vec4f, f: vec4f, g: vec4f, h: vec4f,
    total: f32, // for the least value that a group's weights share
    squares: f32,
}

fn x_group(start: u32, i: u32) -> Activations {
    let a = x[start];
    let b = x[start + 1u];
    let c = x[start + 2u];
    let d = x[start + 3u];
    let e = x[start + 4u];
    let f = x[start + 5u];
    let g = x[start + 6u];
    let h = x[start + 7u];
    let squares = input_square(a) + input_square(b) + input_square(c) + input_square(d)
        + input_square(e) + input_square(f) + input_square(g) + input_square(h);
    var v = Activations(input_weigh(a, i), input_weigh(b, i + 1u), input_weigh(c, i + 2u), input_weigh(d, i + 3u),
        input_weigh(e, i + 4u), input_weigh(f, i + 5u), input_weigh(g, i + 6u), input_weigh(h, i + 7u),
        0.0, squares);
    let total = v.a + v.b + v.c + v.d + v.e + v.f + v.g + v.h;
    v.total = total.x + total.y + total.z + total.w;
    return v;
}
