// matmul: Y = X W^T for many tokens.
// A workgroup makes a tile of ROWS × LANES_R rows and TOKENS × LANES_T tokens, a lane ROWS × TOKENS of it. Weights are
// decoded once a workgroup into workgroup memory, 32 columns at a time, and X is staged beside them.
// Bound: reads weights once per tile of tokens, X once per tile of rows; 2 rows cols tokens operations.
// Sockets: format, epilogue, scalar.
// Loops with constant ends are unrolled.

struct Params { rows: u32, cols: u32, y_start: u32, y_stride: u32 }

const TILE_ROWS = ROWS * LANES_R;
const TILE_TOKENS = TOKENS * LANES_T;

@group(0) @binding(3) var<storage, read> x: array<vec4f>;       // (tokens, padded cols / 4)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // (tokens, y_stride)
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> w_tile: array<scalar4, 8u * TILE_ROWS>;   // (8 steps of 4 columns, rows)
var<workgroup> x_tile: array<scalar4, 8u * TILE_TOKENS>; // (8 steps of 4 columns, tokens)

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
    let groups = (params.cols + 31u) / 32u;
    let first_row = at.x * TILE_ROWS;
    let first_token = at.y * TILE_TOKENS;
    let lane_row = lane / LANES_T;
    let lane_token = lane % LANES_T;
    let last_token = rows.count - 1u;

    var sums = array<f32, ROWS * TOKENS>();
    for (var group = 0u; group < groups; group++) {
        for (var r = lane; r < TILE_ROWS; r += WORKGROUP_SIZE) {
            let row = min(first_row + r, params.rows - 1u); // rows past the end repeat the last
            let scale = w_scale(row, group, groups);
            let step = scale.x * W_STEP;
            let q = w_group(row * groups + group);
            w_tile[r] = scalar4(q.a * step + scale.y);
            w_tile[TILE_ROWS + r] = scalar4(q.b * step + scale.y);
            w_tile[2u * TILE_ROWS + r] = scalar4(q.c * step + scale.y);
            w_tile[3u * TILE_ROWS + r] = scalar4(q.d * step + scale.y);
            w_tile[4u * TILE_ROWS + r] = scalar4(q.e * step + scale.y);
            w_tile[5u * TILE_ROWS + r] = scalar4(q.f * step + scale.y);
            w_tile[6u * TILE_ROWS + r] = scalar4(q.g * step + scale.y);
            w_tile[7u * TILE_ROWS + r] = scalar4(q.h * step + scale.y);
        }
        for (var e = lane; e < 8u * TILE_TOKENS; e += WORKGROUP_SIZE) {
            let token = min(first_token + e % TILE_TOKENS, last_token);
            x_tile[e] = scalar4(x[(token * groups + group) * 8u + e / TILE_TOKENS]);
        }
        workgroupBarrier();
        for (var i = 0u; i < 8u; i++) {
            var w = array<vec4f, ROWS>();
            for (var r = 0u; r < ROWS; r++) { w[r] = vec4f(w_tile[i * TILE_ROWS + row_of(lane_row, r)]); }
            for (var t = 0u; t < TOKENS; t++) {
                let v = vec4f(x_tile[i * TILE_TOKENS + t * LANES_T + lane_token]);
                for (var r = 0u; r < ROWS; r++) {
                    sums[t * ROWS + r] = fma(w[r].x, v.x, fma(w[r].y, v.y, fma(w[r].z, v.z, fma(w[r].w, v.w, sums[t * ROWS + r]))));
                }
            }
        }
        workgroupBarrier();
    }

    for (var t = 0u; t < TOKENS; t++) {
        let token = first_token + t * LANES_T + lane_token;
        for (var pair = 0u; pair < ROWS / 2u; pair++) {
            let row = first_row + row_of(lane_row, 2u * pair);
            if token <= last_token && row < params.rows {
                epilogue(token * params.y_stride + params.y_start, row, vec2f(sums[t * ROWS + 2u * pair], sums[t * ROWS + 2u * pair + 1u]));
            }
        }
    }
}

// The r-th row of a lane within the tile: pairs stay together, as `epilogue` wants them.
fn row_of(lane_row: u32, r: u32) -> u32 {
    return ((r / 2u) * LANES_R + lane_row) * 2u + r % 2u;
}
