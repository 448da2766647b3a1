// matmul_rows: Y = X W^T for up to TOKENS tokens, four or eight.
// LANES_PER_ROW lanes share ROWS rows of W, 4 or 8, and unpack each group of 32 weights once for all tokens; with
// LANES_PER_ROW = 1, for adapters that run on the CPU, a lane has them to itself.
// Bound: reads weights once; 2 rows cols tokens operations.
// Compilers of such adapters take long for it: so one shader serves every epilogue, which is a parameter. Sockets: format, xs, gates,
// tokens; reduce and group come with the variant.

struct Params { rows: u32, cols: u32, y_start: u32, y_stride: u32, token_start: u32, epilogue: u32, row_start: u32,
    piece_rows: u32, x_each: u32 }

@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // (tokens, y_stride)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let tile = tile_of(wg);
    // Of an empty tile none: a return would cost llvmpipe what it knows of indices that all lanes share.
    let groups = select(0u, (params.cols + 31u) / 32u, tile.count > 0u);
    let row = (tile.rows * (WORKGROUP_SIZE / LANES_PER_ROW) + at.lane / LANES_PER_ROW) * ROWS;
    let places = w_places(row, tile) * groups;
    let four = places.x / 4u;
    let next_places = w_places(row + 4u, tile) * groups;
    let next_four = next_places.x / 4u;

    var token0 = Results();
    var token1 = Results();
    var token2 = Results();
    var token3 = Results();
    var token4 = Results();
    var token5 = Results();
    var token6 = Results();
    var token7 = Results();
    let count = tokens_computed(tile);
    for (var first = 0u; first < groups; first += LANES_PER_ROW) {
        x_begin(first, groups, count, tile, at);
        let own = first + at.lane % LANES_PER_ROW;
        let group = min(own, groups - 1u); // past the end activations are 0
        let w = four_rows(four + group, places + group);
        var next = Four();
        if ROWS == 8u { next = four_rows(next_four + group, next_places + group); }
        token0 = added(token0, w, next, x_group(0u, own, groups, tile, at));
        if count > 1u { token1 = added(token1, w, next, x_group(1u, own, groups, tile, at)); }
        if count > 2u { token2 = added(token2, w, next, x_group(2u, own, groups, tile, at)); }
        if count > 3u { token3 = added(token3, w, next, x_group(3u, own, groups, tile, at)); }
        if count > 4u { token4 = added(token4, w, next, x_group(4u, own, groups, tile, at)); }
        if count > 5u { token5 = added(token5, w, next, x_group(5u, own, groups, tile, at)); }
        if count > 6u { token6 = added(token6, w, next, x_group(6u, own, groups, tile, at)); }
        if count > 7u { token7 = added(token7, w, next, x_group(7u, own, groups, tile, at)); }
    }
    // One token after the other, for each is as much code as a group of its products.
    for (var token = 0u; token < tile.count; token++) {
        let start = y_row(token, tile) * params.y_stride + params.y_start;
        put_four(start, row, row_sum4(token0.low, at), tile, at);
        if ROWS == 8u { put_four(start, row + 4u, row_sum4(token0.high, at), tile, at); }
        token0 = token1;
        token1 = token2;
        token2 = token3;
        token3 = token4;
        token4 = token5;
        token5 = token6;
        token6 = token7;
    }
}

// Places of four rows in this piece of W; rows past the end repeat the last, those of other pieces are any.
fn w_places(row: u32, tile: Tile) -> vec4u {
    let rows = min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u)) + tile.first_row;
    let end = params.row_start + params.piece_rows;
    return clamp(rows, vec4u(params.row_start), vec4u(end - 1u)) - params.row_start;
}

// Tokens that meet the same rows of W, and which those are.
struct Tile {
    count: u32,     // of tokens, up to TOKENS; none: nothing to do
    rows: u32,      // number of the workgroup's rows among all workgroups'
    first_row: u32, // of W, where the rows of y begin
    pairs: u32,     // place of the first of sorted pairs
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

fn put_four(start: u32, row: u32, v: vec4f, tile: Tile, at: Invocation) {
    let first = tile.first_row + row;
    let there = first >= params.row_start && first < params.row_start + params.piece_rows;
    if at.lane % LANES_PER_ROW != 0u || !there { return; }
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
