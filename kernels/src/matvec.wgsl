// matvec: y = W x for the last token of a pass.
// SPLIT lanes share ROWS rows, each taking every SPLIT-th group of 32 weights; with SPLIT = 1 a lane has rows of its
// own and reads x at an index that its workgroup shares. Bound: reads every weight byte once.
// Sockets: format, input, finish; reduce comes with the variant.

struct Params { rows: u32, cols: u32, y_start: u32, eps: f32 }

@group(0) @binding(3) var<storage, read> x: array<vec4f>;       // (tokens, padded cols / 4)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // (rows)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn main(at: Invocation) {
    let groups = (params.cols + 31u) / 32u;
    let x_start = (state.count - 1u) * groups * 8u;
    let index = at.group.y * at.groups.x + at.group.x;
    let row = (index * (LANES / SPLIT) + at.lane / SPLIT) * ROWS;

    var sums: array<f32, ROWS>;
    var squares = 0.0;
    for (var group = at.lane % SPLIT; group < groups; group += SPLIT) {
        var v: array<vec4f, 8>;
        var total = vec4f(0.0); // for the least value that a group's weights share
        for (var i = 0u; i < 8u; i++) {
            let raw = x[x_start + group * 8u + i];
            squares += input_square(raw);
            v[i] = input_weigh(raw, group * 8u + i);
            total += v[i];
        }
        let all = total.x + total.y + total.z + total.w;
        for (var r = 0u; r < ROWS; r++) {
            let w = min(row + r, params.rows - 1u) * groups + group; // rows past the end repeat the last
            let scale = w_scale(w);
            let q = w_group(w);
            var products = q[0] * v[0];
            for (var i = 1u; i < 8u; i++) { products += q[i] * v[i]; }
            sums[r] += scale.x * (products.x + products.y + products.z + products.w) + scale.y * all;
        }
    }

    let scale = input_scale(squares, at);
    for (var r = 0u; r < ROWS; r += 2u) {
        let pair = vec2f(reduce_sum(sums[r], at), reduce_sum(sums[r + 1u], at)) * scale;
        if at.lane % SPLIT == 0u && row + r < params.rows { finish(params.y_start, row + r, pair); }
    }
}
