// matvec: y = W x for the last token of a pass.
// LANES_PER_ROW lanes share four rows, each taking every LANES_PER_ROW-th group of 32 weights; with LANES_PER_ROW = 1 a lane has
// ROWS rows of its own, a multiple of 4. Bound: reads every weight byte once.
// Sockets: format, input, x, epilogue; reduce and group come with the variant.
// Loops with constant ends are unrolled.

const GROUPS = X_LENGTH / 8u; // of a row: a constant, for compilers that guard loops whose end they do not see

struct Params { rows: u32, cols: u32, y_start: u32, eps: f32 }

@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // (rows)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let start = x_start(GROUPS);
    let index = wg.id.y * wg.count.x + wg.id.x;
    let row = (index * (WORKGROUP_SIZE / LANES_PER_ROW) + at.lane / LANES_PER_ROW) * ROWS;

    var fours = array<u32, ROWS / 4u>();
    var rows = array<vec4u, ROWS / 4u>();
    var sums = array<vec4f, ROWS / 4u>();
    for (var k = 0u; k < ROWS / 4u; k++) {
        fours[k] = min(row + 4u * k, params.rows - 1u) / 4u * GROUPS;
        rows[k] = places(row + 4u * k);
    }
    var squares = 0.0;
    for (var group = group_first(at); group < GROUPS; group += LANES_PER_ROW) {
        let v = x_group(start + group, group, at);
        squares += v.squares;
        for (var k = 0u; k < ROWS / 4u; k++) {
            sums[k] += products(fours[k] + group, rows[k] + group, v);
        }
    }

    let scale = input_scale(squares, at, wg);
    for (var k = 0u; k < ROWS / 4u; k++) {
        let low = vec2f(reduce_sum(sums[k].x, at, wg), reduce_sum(sums[k].y, at, wg)) * scale;
        let high = vec2f(reduce_sum(sums[k].z, at, wg), reduce_sum(sums[k].w, at, wg)) * scale;
        put(row + 4u * k, low, high, at.lane % LANES_PER_ROW == 0u);
    }
}

fn put(row: u32, low: vec2f, high: vec2f, first: bool) {
    if first && row < params.rows { epilogue(params.y_start, row, low); }
    if first && row + 2u < params.rows { epilogue(params.y_start, row + 2u, high); }
}

// Places of four rows; rows past the end repeat the last.
fn places(row: u32) -> vec4u {
    return min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u)) * GROUPS;
}

fn products(four: u32, rows: vec4u, v: Activations) -> vec4f {
    let s = w_scales_of(four);
    return s.scale * row_dots(rows, v.weighed) + s.min * v.total;
}

// 32 activations as the weights meet them, their sum, and the sum of their squares before.
struct Activations {
    weighed: Group,
    total: f32, // for the min that a group's weights share
    squares: f32,
}
