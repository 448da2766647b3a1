// matmul_cooperative: Y = X W^T for many tokens by the matrix instructions of subgroups.
// A workgroup of 2 × 2 subgroups makes a tile of TILE_ROWS rows and TILE_TOKENS tokens, a subgroup ROWS × TOKENS matrices of
// it in registers. STEP_GROUPS groups of 32 columns of W, decoded once a workgroup, and of X lie in workgroup memory at a
// time; while they are multiplied the next are read. Results go straight to y where a tile is full.
// Bound: reads weights once per tile of tokens, X once per tile of rows; 2 rows cols tokens operations.
// Sockets: format, epilogue; the matrices come with the variant.
// Loops with constant ends are unrolled.

struct Params { rows: u32, cols: u32, y_start: u32, y_stride: u32 }

const TILE_ROWS = 2u * ROWS * SIDE;
const TILE_TOKENS = 2u * TOKENS * SIDE;
const STEP = 32u * STEP_GROUPS;
const STRIDE = STEP + 8u; // of a row of a tile: a gap spreads rows over banks
const W_UNITS = (TILE_ROWS * STEP_GROUPS + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE; // groups of W that a lane decodes at most
const X_UNITS = 8u * TILE_TOKENS * STEP_GROUPS / WORKGROUP_SIZE; // fours of X that a lane reads
const AREA = SIDE * SIDE; // of a matrix

@group(0) @binding(3) var<storage, read> x: array<vec4f>;       // (tokens, padded cols / 4)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // (tokens, y_stride)
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> w_tile: array<tile, TILE_ROWS * STRIDE>;   // (rows, STRIDE)
var<workgroup> x_tile: array<tile, TILE_TOKENS * STRIDE>; // (tokens, STRIDE)
var<workgroup> results: array<f32, 4u * AREA>;            // (subgroups, tokens, rows)

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) subgroup_lane: u32) {
    let groups = (params.cols + 31u) / 32u;
    let tile_row = at.x * TILE_ROWS;
    let tile_token = at.y * TILE_TOKENS;
    let own_row = subgroup / 2u * ROWS * SIDE; // of the subgroup within the tile
    let own_token = subgroup % 2u * TOKENS * SIDE;

    var sums = array<Results, ROWS * TOKENS>();
    var next_w = array<Group, W_UNITS>();
    var next_x = array<vec4f, X_UNITS>();
    for (var i = 0u; i < W_UNITS; i++) { next_w[i] = w_unit(lane + i * WORKGROUP_SIZE, tile_row, 0u, groups); }
    for (var i = 0u; i < X_UNITS; i++) { next_x[i] = x_unit(lane + i * WORKGROUP_SIZE, tile_token, 0u, groups); }
    for (var first = 0u; first < groups; first += STEP_GROUPS) {
        for (var i = 0u; i < W_UNITS; i++) { put_w(lane + i * WORKGROUP_SIZE, next_w[i]); }
        for (var i = 0u; i < X_UNITS; i++) { put_x(lane + i * WORKGROUP_SIZE, next_x[i]); }
        workgroupBarrier();
        if first + STEP_GROUPS < groups {
            for (var i = 0u; i < W_UNITS; i++) { next_w[i] = w_unit(lane + i * WORKGROUP_SIZE, tile_row, first + STEP_GROUPS, groups); }
            for (var i = 0u; i < X_UNITS; i++) { next_x[i] = x_unit(lane + i * WORKGROUP_SIZE, tile_token, first + STEP_GROUPS, groups); }
        }
        for (var k = 0u; k < STEP / SIDE; k++) {
            var w = array<Weights, ROWS>();
            for (var i = 0u; i < ROWS; i++) {
                w[i] = coopLoadT<Weights>(&w_tile[(own_row + i * SIDE) * STRIDE + k * SIDE], STRIDE);
            }
            for (var j = 0u; j < TOKENS; j++) {
                let v = coopLoad<Tokens>(&x_tile[(own_token + j * SIDE) * STRIDE + k * SIDE], STRIDE);
                for (var i = 0u; i < ROWS; i++) { sums[j * ROWS + i] = coopMultiplyAdd(w[i], v, sums[j * ROWS + i]); }
            }
        }
        workgroupBarrier();
    }

    let stride = params.y_stride;
    let y_first = (tile_token + own_token) * stride + params.y_start + tile_row + own_row;
    let full = (tile_row + TILE_ROWS <= params.rows) & (tile_token + TILE_TOKENS <= rows.count);
    let aligned = (params.y_start | params.y_stride) % 4u == 0u; // matrices are stored 16 bytes at a time
    if full & aligned & (EPILOGUE <= ADD) { // `&&` is a branch, for which naga sees not that all lanes take it
        for (var j = 0u; j < TOKENS; j++) {
            for (var i = 0u; i < ROWS; i++) {
                let place = y_first + j * SIDE * stride + i * SIDE;
                if EPILOGUE == ADD { sums[j * ROWS + i] = sums[j * ROWS + i] + coopLoad<Results>(&y[place], stride); }
                coopStore(sums[j * ROWS + i], &y[place], stride);
            }
        }
        return;
    }
    let area = subgroup * AREA;
    for (var j = 0u; j < TOKENS; j++) {
        for (var i = 0u; i < ROWS; i++) {
            coopStore(sums[j * ROWS + i], &results[area], SIDE);
            workgroupBarrier();
            put_matrix(area, tile_row + own_row + i * SIDE, tile_token + own_token + j * SIDE, subgroup_lane);
            workgroupBarrier();
        }
    }
}

// The `unit`-th group of W in a step: the groups of a row are neighbours. Rows past the end repeat the last.
fn w_unit(unit: u32, tile_row: u32, first: u32, groups: u32) -> Group {
    let row = min(tile_row + unit / STEP_GROUPS, params.rows - 1u);
    let group = first + unit % STEP_GROUPS;
    if group >= groups || unit >= TILE_ROWS * STEP_GROUPS { return Group(); }
    let scale = w_scale(row, group, groups);
    let step = scale.x * W_STEP;
    let q = w_group(row * groups + group);
    return Group(q.a * step + scale.y, q.b * step + scale.y, q.c * step + scale.y, q.d * step + scale.y,
        q.e * step + scale.y, q.f * step + scale.y, q.g * step + scale.y, q.h * step + scale.y);
}

// The `unit`-th four of X in a step. Tokens past the end repeat the last.
fn x_unit(unit: u32, tile_token: u32, first: u32, groups: u32) -> vec4f {
    let token = min(tile_token + unit / (8u * STEP_GROUPS), rows.count - 1u);
    let four = first * 8u + unit % (8u * STEP_GROUPS);
    if four >= groups * 8u { return vec4f(); }
    return x[token * groups * 8u + four];
}

fn put_w(unit: u32, q: Group) {
    if unit >= TILE_ROWS * STEP_GROUPS { return; }
    let start = unit / STEP_GROUPS * STRIDE + unit % STEP_GROUPS * 32u;
    put_w_four(start, q.a);
    put_w_four(start + 4u, q.b);
    put_w_four(start + 8u, q.c);
    put_w_four(start + 12u, q.d);
    put_w_four(start + 16u, q.e);
    put_w_four(start + 20u, q.f);
    put_w_four(start + 24u, q.g);
    put_w_four(start + 28u, q.h);
}

fn put_w_four(place: u32, v: vec4f) {
    let fits = fitting(v * W_SCALE);
    w_tile[place] = tile(fits.x);
    w_tile[place + 1u] = tile(fits.y);
    w_tile[place + 2u] = tile(fits.z);
    w_tile[place + 3u] = tile(fits.w);
}

fn put_x(unit: u32, v: vec4f) {
    let place = unit / (8u * STEP_GROUPS) * STRIDE + unit % (8u * STEP_GROUPS) * 4u;
    let fits = fitting(v / W_SCALE);
    x_tile[place] = tile(fits.x);
    x_tile[place + 1u] = tile(fits.y);
    x_tile[place + 2u] = tile(fits.z);
    x_tile[place + 3u] = tile(fits.w);
}

// What the type of tiles has room for.
fn fitting(v: vec4f) -> vec4f { return clamp(v, vec4f(-TILE_MAX), vec4f(TILE_MAX)); }

// Pairs of rows of a matrix of results, by the lanes of its subgroup.
fn put_matrix(area: u32, first_row: u32, first_token: u32, lane: u32) {
    for (var e = lane * 2u; e < AREA; e += SUBGROUP * 2u) {
        let row = first_row + e % SIDE;
        let token = first_token + e / SIDE;
        if token < rows.count && row < params.rows {
            epilogue(token * params.y_stride + params.y_start, row, vec2f(results[area + e], results[area + e + 1u]));
        }
    }
}
