// matvec: y = W x for the last token of a pass.
// SPLIT lanes share four rows, each taking every SPLIT-th group of 32 weights; with SPLIT = 1 a lane has ROWS rows of
// its own, 4 or 8, and reads x at an index that its workgroup shares. Bound: reads every weight byte once.
// Sockets: format, input, x, finish; reduce comes with the variant.

const GROUPS = X_LENGTH / 8u; // of a row: a constant, for compilers that guard loops whose end they do not see

struct Params { rows: u32, cols: u32, y_start: u32, eps: f32 }

@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // (rows)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn main(at: Invocation, wg: Workgroup) {
    let start = x_start(GROUPS);
    let index = wg.id.y * wg.count.x + wg.id.x;
    let row = (index * (LANES / SPLIT) + at.lane / SPLIT) * ROWS;

    let four = four_place(min(row, params.rows - 1u) / 4u, GROUPS);
    let rows = places(row);
    let next_four = four_place(min(row + 4u, params.rows - 1u) / 4u, GROUPS);
    let next_rows = places(row + 4u);

    var sums = vec4f(0.0);
    var next_sums = vec4f(0.0);
    var squares = 0.0;
    for (var group = at.lane % SPLIT; group < GROUPS; group += SPLIT) {
        let v = x_group(start + group, group);
        squares += v.squares;
        sums += products(four + four_step(group), rows + row_step(group), v);
        if ROWS == 8u { next_sums += products(next_four + four_step(group), next_rows + row_step(group), v); }
    }

    let scale = input_scale(squares, at, wg);
    let low = vec2f(reduce_sum(sums.x, at, wg), reduce_sum(sums.y, at, wg)) * scale;
    let high = vec2f(reduce_sum(sums.z, at, wg), reduce_sum(sums.w, at, wg)) * scale;
    if at.lane % SPLIT != 0u { return; }
    if row < params.rows { finish(params.y_start, row, low); }
    if row + 2u < params.rows { finish(params.y_start, row + 2u, high); }
    if ROWS == 8u {
        if row + 4u < params.rows { finish(params.y_start, row + 4u, next_sums.xy * scale); }
        if row + 6u < params.rows { finish(params.y_start, row + 6u, next_sums.zw * scale); }
    }
}

// Those of four rows; rows past the end repeat the last.
fn places(row: u32) -> vec4u {
    let rows = min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u));
    return vec4u(row_place(rows.x, GROUPS), row_place(rows.y, GROUPS), row_place(rows.z, GROUPS), row_place(rows.w, GROUPS));
}

fn products(four: u32, rows: vec4u, v: Activations) -> vec4f {
    let s = w_scales_of(four);
    return s.scale * vec4f(product(rows.x, v.weighed), product(rows.y, v.weighed),
        product(rows.z, v.weighed), product(rows.w, v.weighed)) + s.least * v.total;
}

fn product(group: u32, x: Group) -> f32 {
    let q = w_group(group);
    let sum = q.a * x.a + q.b * x.b + q.c * x.c + q.d * x.d + q.e * x.e + q.f * x.f + q.g * x.g + q.h * x.h;
    return sum.x + sum.y + sum.z + sum.w;
}

// 32 activations as the weights meet them, their sum, and the sum of their squares before.
struct Activations {
    weighed: Group,
    total: f32, // for the least value that a group's weights share
    squares: f32,
}

// A group is one element of x: compilers that check indices then check one.
fn x_group(place: u32, i: u32) -> Activations {
    let x = x[place];
    let squares = input_square(x.a) + input_square(x.b) + input_square(x.c) + input_square(x.d)
        + input_square(x.e) + input_square(x.f) + input_square(x.g) + input_square(x.h);
    let v = input_weigh(x, i);
    let total = v.a + v.b + v.c + v.d + v.e + v.f + v.g + v.h;
    return Activations(stepped(v), total.x + total.y + total.z + total.w, squares);
}
