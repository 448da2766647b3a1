// matvec: y = W x for the last token of a pass.
// LANES_PER_ROW lanes share ROWS rows, a multiple of 4, each taking every LANES_PER_ROW-th group of 32 weights; with
// LANES_PER_ROW = 1 a lane has them to itself. Bound: reads every weight byte once.
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
    for (var first = 0u; first < GROUPS; first += LANES_PER_ROW) {
        let own = first + at.lane % LANES_PER_ROW;
        let v = x_group(start, own, at);
        squares += v.squares;
        let group = min(own, GROUPS - 1u); // past the end activations are 0
        for (var k = 0u; k < ROWS / 4u; k++) {
            sums[k] += products(fours[k] + group, rows[k] + group, v);
        }
    }

    let scale = input_scale(squares, at, wg);
    for (var k = 0u; k < ROWS / 4u; k++) {
        let v = reduce_sum4(sums[k], at, wg) * scale;
        put(row + 4u * k, v.xy, v.zw, at.lane % LANES_PER_ROW == 0u);
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

// A group as the weights meet it, with its sum.
fn activations(v: Group, squares: f32) -> Activations {
    let total = v.a + v.b + v.c + v.d + v.e + v.f + v.g + v.h;
    return Activations(stepped(v), total.x + total.y + total.z + total.w, squares);
}
