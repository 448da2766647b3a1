// norm: y = x / rms(x) * weight, one row of x a workgroup.
// Lanes stride over the columns twice: once for the sum of squares, once to write. Bound: reads x twice, weight once.
// Sockets: none.

struct Params { cols: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> norm_weight: array<f32>;  // (cols)
@group(0) @binding(3) var<storage, read> x: array<f32>;            // (tokens, padded cols)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;      // (tokens, padded cols)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn main(at: Invocation, wg: Workgroup) {
    let start = wg.id.y * ((params.cols + 31u) / 32u * 32u);
    var squares = 0.0;
    for (var col = at.lane; col < params.cols; col += LANES) {
        let v = x[start + col];
        squares += v * v;
    }
    let scale = inverseSqrt(reduce_sum(squares, at, wg) / f32(params.cols) + params.eps);
    for (var col = at.lane; col < params.cols; col += LANES) {
        y[start + col] = x[start + col] * scale * norm_weight[col];
    }
}
