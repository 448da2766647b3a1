// norm: rows of x, or groups of a row, to unit root mean square (RMSNorm) or variance (LayerNorm), then by a learned weight.
// A workgroup takes one group; its lanes stride over the columns once for each sum and once to write.
// Bound: reads x twice, weight once. Sockets: statistics, result; reduce comes with the variant.

// Groups from `split` on have the second `cols` of the weight; with a `split` of 0 each group has its own.
struct Params { cols: u32, eps: f32, x_stride: u32, y_stride: u32, start: u32, y_start: u32, split: u32 }

@group(0) @binding(0) var<storage, read> norm_weight: array<f32>;  // (cols): or (2, cols), or (groups, cols)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;      // (tokens, y_stride)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let group = wg.id.x * params.cols;
    let from_x = wg.id.y * params.x_stride + params.start + group;
    let to_y = wg.id.y * params.y_stride + params.y_start + group;
    let weight = select(select(0u, params.cols, wg.id.x >= params.split), group, params.split == 0u);
    let mean = norm_mean(from_x, to_y, at, wg);
    var squares = 0.0;
    for (var col = at.lane; col < params.cols; col += WORKGROUP_SIZE) {
        let v = norm_input(from_x + col, to_y + col) - mean;
        squares += v * v;
    }
    let scale = inverseSqrt(reduce_sum(squares, at, wg) / f32(params.cols) + params.eps);
    for (var col = at.lane; col < params.cols; col += WORKGROUP_SIZE) {
        let v = norm_input(from_x + col, to_y + col) - mean;
        norm_put(to_y + col, v * scale * norm_weight[weight + col] + norm_shift(col));
    }
}
