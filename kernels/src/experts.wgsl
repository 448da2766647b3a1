// experts: y = W[expert] x for every expert that a token uses.
// LANES_PER_ROW lanes share four rows, each taking every LANES_PER_ROW-th group of 32 weights; with LANES_PER_ROW = 1 a lane has
// four rows of its own. Workgroups in y have a pair of token and expert each. Bound: reads the weights of a token's experts
// once.
// Sockets: format, epilogue; reduce comes with the variant.

// A matrix holds the rows of all experts, one after the other; this piece of it `piece_rows` from `row_start` on.
struct Params { rows: u32, cols: u32, row_start: u32, piece_rows: u32, top_k: u32, x_each: u32,
    y_start: u32, y_stride: u32 }

@group(0) @binding(3) var<storage, read> x: array<Group>;          // (tokens, padded cols / 32): where x_each is 1, (tokens, top_k, …)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;      // (tokens, top_k, y_stride)
@group(0) @binding(5) var<storage, read> expert_ids: array<u32>;   // (tokens, top_k)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let pair = wg.id.y;
    let groups = (params.cols + 31u) / 32u;
    let row = (wg.id.x * (WORKGROUP_SIZE / LANES_PER_ROW) + at.lane / LANES_PER_ROW) * 4u; // of the expert
    let first = expert_ids[pair] * params.rows + row;                 // of the matrix
    // Without a return, which would cost llvmpipe what it knows of indices that all lanes share.
    let there = row < params.rows && first >= params.row_start && first < params.row_start + params.piece_rows;
    let place = select(0u, first - params.row_start, there);      // of the piece
    let start = select(pair / params.top_k, pair, params.x_each == 1u) * groups;

    let four = place / 4u * groups;
    let w_rows = (vec4u(place) + vec4u(0u, 1u, 2u, 3u)) * groups;
    var sums = vec4f(0.0);
    for (var group = at.lane % LANES_PER_ROW; group < groups; group += LANES_PER_ROW) {
        let v = x[start + group];
        let total = v.a + v.b + v.c + v.d + v.e + v.f + v.g + v.h;
        let s = w_scales_of(four + group);
        let met = stepped(v);
        sums += s.scale * row_dots(w_rows + group, met) + s.min * (total.x + total.y + total.z + total.w);
    }
    sums = reduce_sum4(sums, at, wg);
    if at.lane % LANES_PER_ROW != 0u || !there { return; }
    let y_start = pair * params.y_stride + params.y_start;
    epilogue(y_start, row, sums.xy);
    epilogue(y_start, row + 2u, sums.zw);
}
