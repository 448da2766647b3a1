// token_shift: y = x + (before - x) share, result by result, with the row before of the same sequence; before the first are zeros.
// A lane takes one column of one sequence: it keeps the row before in hand, and reads one row ahead.
// Bound: reads x once, writes y once, reads the shares and the state once a pass.
// Loops with constant ends are unrolled.

// Results lie side by side in a row of y, y_step from one to the next.
struct Params { channels: u32, x_stride: u32, y_stride: u32, y_step: u32 }

@group(0) @binding(0) var<storage, read> shares: array<f32>;            // (RESULTS, channels)
@group(0) @binding(3) var<storage, read> x: array<f32>;                 // (tokens, x_stride)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;           // (tokens, y_stride)
@group(0) @binding(5) var<storage, read_write> shift_state: array<f32>; // (sequences, channels): the last row
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let unit = (group.y * groups.x + group.x) * WORKGROUP_SIZE + lane;
    let sequence = unit / params.channels;
    let channel = unit % params.channels;
    var row = next_row(0u, sequence);
    if row >= rows.count { return; } // also past the last sequence

    var share = array<f32, RESULTS>();
    for (var j = 0u; j < RESULTS; j++) { share[j] = shares[j * params.channels + channel]; }
    var before = shift_state[sequence * params.channels + channel];
    var ahead = x[row * params.x_stride + channel];
    while row < rows.count {
        let own = ahead;
        if rows.row[row].position == 0u { before = 0.0; }
        let next = next_row(row + 1u, sequence);
        if next < rows.count { ahead = x[next * params.x_stride + channel]; }
        let to_y = row * params.y_stride + channel;
        for (var j = 0u; j < RESULTS; j++) { y[to_y + j * params.y_step] = fma(before - own, share[j], own); }
        before = own;
        row = next;
    }
    shift_state[sequence * params.channels + channel] = before;
}
