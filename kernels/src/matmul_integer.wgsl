// matmul_integer: Y = X W^T for many tokens whose activations are packed as bytes: products of integers, four at a time.
// A workgroup makes a tile of ROWS × LANES_R rows and TOKENS × LANES_T tokens, a lane ROWS × TOKENS of it in registers.
// A group of 32 columns of W, as bytes with their scales, and of X lie in workgroup memory at a time.
// Bound: reads weights once per tile of tokens, X once per tile of rows; rows cols tokens / 2 products of four bytes.
// Sockets: format, epilogue.

struct Params { rows: u32, cols: u32, y_start: u32, y_stride: u32 }

const TILE_ROWS = ROWS * LANES_R;
const TILE_TOKENS = TOKENS * LANES_T;

@group(0) @binding(3) var<storage, read> x: array<Packed>;      // (tokens, groups)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // (tokens, y_stride)
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> w_tile: array<vec4u, 2u * TILE_ROWS>;     // (halves of a group, rows)
var<workgroup> w_scales_tile: array<vec2f, TILE_ROWS>;   // scale, min
var<workgroup> x_tile: array<vec4u, 4u * TILE_TOKENS>;   // (halves of high and low bytes of a group, tokens)
var<workgroup> x_scales_tile: array<vec2f, TILE_TOKENS>; // scale, total

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
    let groups = (params.cols + 31u) / 32u;
    let first_row = at.x * TILE_ROWS;
    let first_token = at.y * TILE_TOKENS;
    let lane_row = lane / LANES_T;
    let lane_token = lane % LANES_T;
    let last_token = rows.count - 1u;

    var sums = array<array<f32, ROWS>, TOKENS>();
    for (var group = 0u; group < groups; group++) {
        for (var e = lane; e < TILE_ROWS + TILE_TOKENS; e += WORKGROUP_SIZE) {
            if e < TILE_ROWS {
                stage_row(e, min(first_row + e, params.rows - 1u), group, groups); // rows past the end repeat the last
            } else {
                stage_token(e - TILE_ROWS, min(first_token + e - TILE_ROWS, last_token) * groups + group);
            }
        }
        workgroupBarrier();
        var w = array<Bytes, ROWS>();
        var scales = array<vec2f, ROWS>();
        for (var r = 0u; r < ROWS; r++) {
            let place = row_of(lane_row, r);
            w[r] = Bytes(w_tile[place], w_tile[TILE_ROWS + place]);
            scales[r] = w_scales_tile[place];
        }
        for (var t = 0u; t < TOKENS; t++) {
            let place = t * LANES_T + lane_token;
            let high = Bytes(x_tile[place], x_tile[TILE_TOKENS + place]);
            let low = Bytes(x_tile[2u * TILE_TOKENS + place], x_tile[3u * TILE_TOKENS + place]);
            let own = x_scales_tile[place];
            for (var r = 0u; r < ROWS; r++) {
                sums[t][r] += scales[r].x * (own.x * f32(products(w[r], high, low))) + scales[r].y * own.y;
            }
        }
        workgroupBarrier();
    }

    for (var t = 0u; t < TOKENS; t++) {
        let token = first_token + t * LANES_T + lane_token;
        for (var r = 0u; r < ROWS; r += 2u) {
            let row = first_row + row_of(lane_row, r);
            if token <= last_token && row < params.rows {
                epilogue(token * params.y_stride + params.y_start, row, vec2f(sums[t][r], sums[t][r + 1u]));
            }
        }
    }
}

fn stage_row(place: u32, row: u32, group: u32, groups: u32) {
    let w = w_bytes(row * groups + group);
    w_tile[place] = w.a;
    w_tile[TILE_ROWS + place] = w.b;
    w_scales_tile[place] = w_scale(row, group, groups);
}

fn stage_token(place: u32, group: u32) {
    let v = x[group];
    x_tile[place] = v.high.a;
    x_tile[TILE_TOKENS + place] = v.high.b;
    x_tile[2u * TILE_TOKENS + place] = v.low.a;
    x_tile[3u * TILE_TOKENS + place] = v.low.b;
    x_scales_tile[place] = vec2f(v.scale, v.total);
}

// The r-th row of a lane within the tile: pairs stay together, as `epilogue` wants them.
fn row_of(lane_row: u32, r: u32) -> u32 {
    return ((r / 2u) * LANES_R + lane_row) * 2u + r % 2u;
}
