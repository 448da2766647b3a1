// pool: for each sequence one row of those that it has in the pass and had in earlier ones: their mean, the first or the last.
// A lane takes one column of one sequence. Bound: reads x once, and the rows' sequences. Sockets: pooling.

struct Params { cols: u32, x_stride: u32, y_stride: u32 }

@group(0) @binding(3) var<storage, read> x: array<f32>;            // (tokens, x_stride)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;      // (sequences, y_stride)
@group(0) @binding(5) var<storage, read_write> pooled: array<f32>; // (sequences, cols): what later passes go on from
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let sequence = at.y;
    var row = next_row(0u, sequence);
    if at.x >= params.cols || row >= rows.count { return; }
    let place = sequence * params.cols + at.x;
    var sum = 0.0;
    if rows.row[row].position > 0u { sum = pooled[place]; }
    var count = 0u;
    while row < rows.count {
        let position = rows.row[row].position;
        sum = pool_add(sum, x[row * params.x_stride + at.x], position);
        count = position + 1u;
        row = next_row(row + 1u, sequence);
    }
    pooled[place] = sum;
    y[sequence * params.y_stride + at.x] = pool_end(sum, count);
}
