// matmul_cooperative: Y = X W^T for many tokens by the matrix instructions of subgroups.
// A workgroup of 2 × 2 subgroups makes a tile of 4 SIDE rows and 4 SIDE tokens, a subgroup 2 × 2 matrices of it in
// registers. A group of 32 columns of W, decoded, and of X lie in workgroup memory at a time. Results go through that too.
// Bound: reads weights once per tile of tokens, X once per tile of rows; 2 rows cols tokens operations.
// Sockets: format, epilogue; the matrices come with the variant.

struct Params { rows: u32, cols: u32, y_start: u32, y_stride: u32 }

const TILE = 4u * SIDE;
const AREA = SIDE * SIDE; // of a matrix

@group(0) @binding(3) var<storage, read> x: array<vec4f>;       // (tokens, padded cols / 4)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // (tokens, y_stride)
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> w_tile: array<tile, STRIDE * TILE>;     // (rows, STRIDE)
var<workgroup> x_tile: array<tile, STRIDE * TILE>;     // (tokens, STRIDE)
var<workgroup> results: array<f32, 4u * AREA>;         // (subgroups, tokens, rows)

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) subgroup_lane: u32) {
    w_begin();
    let groups = (params.cols + 31u) / 32u;
    let own_row = subgroup / 2u * 2u * SIDE; // of the subgroup within the tile
    let own_token = subgroup % 2u * 2u * SIDE;
    let area = subgroup * AREA;

    for (var e = lane; e < 4u * AREA; e += WORKGROUP_SIZE) { results[e] = 0.0; }
    workgroupBarrier();
    var sums00 = coopLoad<Results>(&results[area], SIDE); // rows, tokens
    var sums01 = coopLoad<Results>(&results[area], SIDE);
    var sums10 = coopLoad<Results>(&results[area], SIDE);
    var sums11 = coopLoad<Results>(&results[area], SIDE);
    for (var group = 0u; group < groups; group++) {
        for (var r = lane; r < TILE; r += WORKGROUP_SIZE) { stage_row(r, at.x * TILE + r, group, groups); }
        for (var e = lane; e < 8u * TILE; e += WORKGROUP_SIZE) {
            let token = min(at.y * TILE + e / 8u, rows.count - 1u);
            put_x(e / 8u * STRIDE + e % 8u * 4u, x[(token * groups + group) * 8u + e % 8u]);
        }
        workgroupBarrier();
        for (var col = 0u; col < 32u; col += SIDE) {
            let rows0 = coopLoadT<Weights>(&w_tile[own_row * STRIDE + col], STRIDE);
            let rows1 = coopLoadT<Weights>(&w_tile[(own_row + SIDE) * STRIDE + col], STRIDE);
            let tokens0 = coopLoad<Tokens>(&x_tile[own_token * STRIDE + col], STRIDE);
            let tokens1 = coopLoad<Tokens>(&x_tile[(own_token + SIDE) * STRIDE + col], STRIDE);
            sums00 = coopMultiplyAdd(rows0, tokens0, sums00);
            sums01 = coopMultiplyAdd(rows0, tokens1, sums01);
            sums10 = coopMultiplyAdd(rows1, tokens0, sums10);
            sums11 = coopMultiplyAdd(rows1, tokens1, sums11);
        }
        workgroupBarrier();
    }

    let row = at.x * TILE + own_row;
    let token = at.y * TILE + own_token;
    coopStore(sums00, &results[area], SIDE);
    workgroupBarrier();
    epilogue_matrix(area, row, token, subgroup_lane);
    workgroupBarrier();
    coopStore(sums01, &results[area], SIDE);
    workgroupBarrier();
    epilogue_matrix(area, row, token + SIDE, subgroup_lane);
    workgroupBarrier();
    coopStore(sums10, &results[area], SIDE);
    workgroupBarrier();
    epilogue_matrix(area, row + SIDE, token, subgroup_lane);
    workgroupBarrier();
    coopStore(sums11, &results[area], SIDE);
    workgroupBarrier();
    epilogue_matrix(area, row + SIDE, token + SIDE, subgroup_lane);
}

// A group of a row of W into the tile; rows past the end repeat the last.
fn stage_row(place: u32, wanted: u32, group: u32, groups: u32) {
    let row = min(wanted, params.rows - 1u);
    let scale = w_scale(row, group, groups);
    let step = scale.x * W_STEP;
    let q = w_group(row_place(row, groups) + row_step(group));
    let start = place * STRIDE;
    put_w(start, q.a * step + scale.y);
    put_w(start + 4u, q.b * step + scale.y);
    put_w(start + 8u, q.c * step + scale.y);
    put_w(start + 12u, q.d * step + scale.y);
    put_w(start + 16u, q.e * step + scale.y);
    put_w(start + 20u, q.f * step + scale.y);
    put_w(start + 24u, q.g * step + scale.y);
    put_w(start + 28u, q.h * step + scale.y);
}

fn put_w(place: u32, v: vec4f) {
    w_tile[place] = tile(v.x);
    w_tile[place + 1u] = tile(v.y);
    w_tile[place + 2u] = tile(v.z);
    w_tile[place + 3u] = tile(v.w);
}

fn put_x(place: u32, v: vec4f) {
    x_tile[place] = tile(v.x);
    x_tile[place + 1u] = tile(v.y);
    x_tile[place + 2u] = tile(v.z);
    x_tile[place + 3u] = tile(v.w);
}

// Pairs of rows of a matrix of results, by the lanes of its subgroup.
fn epilogue_matrix(area: u32, first_row: u32, first_token: u32, lane: u32) {
    for (var e = lane * 2u; e < AREA; e += SUBGROUP * 2u) {
        let row = first_row + e % SIDE;
        let token = first_token + e / SIDE;
        if token < rows.count && row < params.rows {
            epilogue(token * params.y_stride + params.y_start, row, vec2f(results[area + e], results[area + e + 1u]));
        }
    }
}
