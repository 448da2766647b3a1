// gated_norm: the heads of a row to unit root mean square (RMSNorm), by a learned weight and the activation of a gate.
// A workgroup takes one head of one row. Bound: reads x twice, weight and gate once. Sockets: result, activation; reduce
// comes with the variant.

struct Params { head_dim: u32, eps: f32, x_stride: u32, y_stride: u32, gate_stride: u32, gate_start: u32 }

@group(0) @binding(0) var<storage, read> norm_weight: array<f32>;  // (head_dim)
@group(0) @binding(1) var<storage, read> gate: array<f32>;         // (tokens, gate_stride)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;      // (tokens, y_stride)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let start = wg.id.x * params.head_dim;
    let from_x = wg.id.y * params.x_stride + start;
    let from_gate = wg.id.y * params.gate_stride + params.gate_start + start;
    let to_y = wg.id.y * params.y_stride + start;
    var squares = 0.0;
    for (var col = at.lane; col < params.head_dim; col += WORKGROUP_SIZE) {
        let v = norm_input(from_x + col, to_y + col);
        squares += v * v;
    }
    let scale = inverseSqrt(reduce_sum(squares, at, wg) / f32(params.head_dim) + params.eps);
    for (var col = at.lane; col < params.head_dim; col += WORKGROUP_SIZE) {
        let v = norm_input(from_x + col, to_y + col);
        norm_put(to_y + col, v * scale * norm_weight[col] * activated(gate[from_gate + col]));
    }
}
