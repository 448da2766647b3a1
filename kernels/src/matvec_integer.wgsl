// matvec_integer: y = W x for one token whose activations are packed as bytes: products of integers, four at a time.
// LANES_PER_ROW lanes share ROWS rows, four, each taking every LANES_PER_ROW-th group of 32 weights.
// Bound: reads every weight byte once.
// Sockets: format, x, epilogue; reduce comes with the variant.

const GROUPS = X_LENGTH; // of a row

struct Params { rows: u32, cols: u32, y_start: u32 }

@group(0) @binding(4) var<storage, read_write> y: array<f32>;   // (rows)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let index = wg.id.y * wg.count.x + wg.id.x;
    let row = (index * (WORKGROUP_SIZE / LANES_PER_ROW) + at.lane / LANES_PER_ROW) * ROWS;

    let four = min(row, params.rows - 1u) / 4u * GROUPS;
    // Rows past the end repeat the last.
    let rows = min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u)) * GROUPS;

    var sums = vec4f(0.0);
    for (var group = at.lane % LANES_PER_ROW; group < GROUPS; group += LANES_PER_ROW) {
        let v = x[group];
        let s = w_scales_of(four + group);
        let at = rows + group;
        let whole = vec4i(products(w_bytes(at.x), v.high, v.low), products(w_bytes(at.y), v.high, v.low),
            products(w_bytes(at.z), v.high, v.low), products(w_bytes(at.w), v.high, v.low));
        sums += s.scale * (v.scale * vec4f(whole)) + s.min * v.total;
    }

    sums = reduce_sum4(sums, at, wg);
    if at.lane % LANES_PER_ROW != 0u { return; }
    if row < params.rows { epilogue(params.y_start, row, sums.xy); }
    if row + 2u < params.rows { epilogue(params.y_start, row + 2u, sums.zw); }
}
