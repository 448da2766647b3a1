// conv: causal depthwise convolution over the rows of each sequence, and what its form does before and after it.
// A lane takes one channel of one sequence: it keeps the KERNEL_SIZE inputs in hand, and reads one row ahead.
// Bound: reads x and writes y once, reads the weight and the state once a pass. Sockets: form.
// Loops with constant ends are unrolled.

struct Params { channels: u32, x_stride: u32, x_start: u32, y_stride: u32 }

const KEPT = KERNEL_SIZE - 1u;

@group(0) @binding(0) var<storage, read> conv_weight: array<f32>;      // (channels, KERNEL_SIZE)
@group(0) @binding(3) var<storage, read> x: array<f32>;                // (tokens, x_stride)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;          // (tokens, y_stride)
@group(0) @binding(5) var<storage, read_write> conv_state: array<f32>; // (sequences, KEPT, channels): the oldest first
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

    var weight = array<f32, KERNEL_SIZE>();
    for (var j = 0u; j < KERNEL_SIZE; j++) { weight[j] = conv_weight[channel * KERNEL_SIZE + j]; }
    let state = sequence * KEPT * params.channels + channel;
    var inputs = array<f32, KERNEL_SIZE>(); // the row's last
    for (var j = 0u; j < KEPT; j++) { inputs[j + 1u] = conv_state[state + j * params.channels]; }
    let from_x = params.x_start + channel;
    var ahead = conv_input(row * params.x_stride + from_x);
    while row < rows.count {
        for (var j = 0u; j < KEPT; j++) { inputs[j] = inputs[j + 1u]; }
        inputs[KEPT] = ahead;
        if rows.row[row].position == 0u {
            for (var j = 0u; j < KEPT; j++) { inputs[j] = 0.0; }
        }
        let next = next_row(row + 1u, sequence);
        if next < rows.count { ahead = conv_input(next * params.x_stride + from_x); }
        var sum = 0.0;
        for (var j = 0u; j < KERNEL_SIZE; j++) { sum += weight[j] * inputs[j]; }
        y[row * params.y_stride + channel] = conv_output(sum, channel, row * params.x_stride + from_x);
        row = next;
    }
    for (var j = 0u; j < KEPT; j++) { conv_state[state + j * params.channels] = inputs[j + 1u]; }
}
