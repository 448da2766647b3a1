// scan: the selective state space model of Mamba (Gu & Dao 2023, algorithm 2; Dao & Gu 2024, section 7) over the rows of
// each sequence, and its gate.
//     dt = softplus(dt + bias); S = exp(a dt) S + dt x b; y = (S c + d x) silu(z), for each channel's x and its S of STATE_DIM
// values.
// A workgroup takes CHANNELS channels of one head of one sequence, a lane one channel and a slice of its S, which it holds over
// all rows of the pass. Bound: reads and writes S once a pass, b and c once for CHANNELS channels. How lanes share a row's
// inputs and the sums over S comes with the variant. Sockets: decay, selected.
// Loops with constant ends are unrolled.

// Head h has the b and c of group h / share.
struct Params {
    heads: u32, share: u32, x_stride: u32, bc_stride: u32, b_start: u32, c_start: u32, dt_stride: u32, dt_start: u32,
    gate_stride: u32, gate_start: u32, y_stride: u32, y_start: u32, eps: f32,
}

const STATE_FOURS = STATE_DIM / 4u;

@group(0) @binding(0) var<storage, read> x: array<f32>;               // (tokens, x_stride): (heads, HEAD_DIM)
@group(0) @binding(1) var<storage, read> bc: array<vec4f>;            // (tokens, bc_stride / 4)
@group(0) @binding(2) var<storage, read> dt: array<f32>;              // (tokens, dt_stride)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;         // (tokens, y_stride): (heads, HEAD_DIM) from y_start on
@group(0) @binding(5) var<storage, read_write> ssm_state: array<f32>; // (sequences, heads, STATE_DIM, HEAD_DIM)
@group(0) @binding(6) var<storage, read> gates: array<f32>;           // (tokens, gate_stride): z
@group(0) @binding(8) var<uniform> params: Params;

// Share of a lane: a channel of a head, and the slice of its S.
struct Lane { index: u32, slice: u32, head: u32, channel: u32 }

// Column of dt from the first on, a where the head has one, d, and the bias of dt.
struct Numbers { column: u32, a: f32, d: f32, bias: f32 }

// Inputs of a row to a channel: dt as it is in memory.
struct Inputs { x: f32, dt: f32 }

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let sequence = group.y / params.heads;
    var row = next_row(0u, sequence);
    if row >= rows.count { return; }

    let channel = group.x * CHANNELS + lane % CHANNELS;
    let own = min(channel, HEAD_DIM - 1u);                     // lanes past the end repeat the last
    let at = Lane(lane, lane / CHANNELS, group.y % params.heads, own);
    let numbers = numbers_of(at);
    let first = at.slice * SLICE;
    let place = group.y * STATE_DIM * HEAD_DIM + own;
    var s = array<vec4f, SLICE>();
    var rates = array<vec4f, SLICE>();
    for (var j = 0u; j < SLICE; j++) {
        if first + j < STATE_FOURS {
            s[j] = read_state(place, first + j);
            rates[j] = rates_of(first + j, at);
        }
    }
    read_ahead(row, at, numbers);
    while row < rows.count {
        let inputs = take_row(row, at, numbers);
        let next = next_row(row + 1u, sequence);
        if next < rows.count { read_ahead(next, at, numbers); }
        if rows.row[row].position == 0u {
            for (var j = 0u; j < SLICE; j++) { s[j] = vec4f(); }
        }
        let time = softplus(inputs.dt + numbers.bias);
        let decay = decay_of(numbers, time);
        let scales = selected_scales();
        let added = vec4f(time * inputs.x);
        var sums = vec4f();
        for (var j = 0u; j < SLICE; j++) {
            s[j] = fma(s[j], decay4(rates[j], decay), added * selected(b4(first + j), 0u, first + j, scales));
            sums = fma(s[j], selected(c4(first + j), 1u, first + j, scales), sums);
        }
        let sum = total(dot(sums, vec4f(1.0)), at);
        if at.slice == 0u && channel < HEAD_DIM {
            let column = at.head * HEAD_DIM + channel;
            let gate = gates[row * params.gate_stride + params.gate_start + column];
            y[row * params.y_stride + params.y_start + column] = fma(numbers.d, inputs.x, sum) * gate * sigmoid(gate);
        }
        row = next;
    }
    if channel < HEAD_DIM {
        for (var j = 0u; j < SLICE; j++) {
            if first + j < STATE_FOURS { write_state(place, first + j, s[j]); }
        }
    }
}

// Four neighbouring values of the S at `place`.
fn read_state(place: u32, four: u32) -> vec4f {
    let from_state = place + four * 4u * HEAD_DIM;
    return vec4f(
        ssm_state[from_state],
        ssm_state[from_state + HEAD_DIM],
        ssm_state[from_state + 2u * HEAD_DIM],
        ssm_state[from_state + 3u * HEAD_DIM],
    );
}

fn write_state(place: u32, four: u32, v: vec4f) {
    let to_state = place + four * 4u * HEAD_DIM;
    ssm_state[to_state] = v.x;
    ssm_state[to_state + HEAD_DIM] = v.y;
    ssm_state[to_state + 2u * HEAD_DIM] = v.z;
    ssm_state[to_state + 3u * HEAD_DIM] = v.w;
}

// Where the b of the head's group lies in a row of bc, in fours; with c_start in place of b_start its c.
fn group_place(row: u32, start: u32, head: u32) -> u32 {
    return (row * params.bc_stride + start) / 4u + head / params.share * STATE_FOURS;
}

fn inputs_of(row: u32, at: Lane, numbers: Numbers) -> Inputs {
    let own_x = x[row * params.x_stride + at.head * HEAD_DIM + at.channel];
    return Inputs(own_x, dt[row * params.dt_stride + params.dt_start + numbers.column]);
}
