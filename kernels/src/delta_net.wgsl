// delta_net: the gated delta rule (Yang et al. 2024, eq. 10) over the rows of each sequence.
//     S = decay S; S += k (v - S^T k)^T beta; y = S^T q, with q and k of unit length and q / sqrt(KEY_DIM).
// A workgroup takes VALUES columns of S of one value head of one sequence, a lane one column and a slice of its keys, which it
// holds over all rows of the pass. S^T k and S^T q are summed at once: what the row itself adds to S^T q is (k q) times what it
// adds to S. Bound: reads and writes S once a pass, q and k once for VALUES columns. Sockets: decay. How lanes share a row's
// inputs and the sums over keys comes with the variant.
// Loops with constant ends are unrolled.

// Value head h has key head h / repeat % key_heads.
struct Params {
    value_heads: u32, key_heads: u32, repeat: u32, eps: f32,
    qkv_stride: u32, q_start: u32, k_start: u32, v_start: u32,
    gates_stride: u32, alpha_start: u32, beta_start: u32, decays_stride: u32, y_stride: u32,
}

const KEY_FOURS = KEY_DIM / 4u;

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;             // (tokens, qkv_stride / 4)
@group(0) @binding(1) var<storage, read> gates: array<f32>;             // (tokens, gates_stride): logits of beta, and where heads decay alpha
@group(0) @binding(4) var<storage, read_write> y: array<f32>;           // (tokens, y_stride): (value_heads, VALUE_DIM)
@group(0) @binding(5) var<storage, read_write> delta_state: array<f32>; // (sequences, value_heads, KEY_DIM, VALUE_DIM)
@group(0) @binding(8) var<uniform> params: Params;

// Share of a lane: a column of a value head's S, and the slice of its keys.
struct Lane { index: u32, slice: u32, head: u32, value: u32 }

// Inputs of a row to a column.
struct Inputs { v: f32, decay: f32, beta: f32 }

// Sums over keys, of q and k as they are.
struct Sums { sk: f32, sq: f32, kk: f32, qq: f32, kq: f32 }

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let sequence = group.y / params.value_heads;
    var row = next_row(0u, sequence);
    if row >= rows.count { return; }

    let column = group.x * VALUES + lane % VALUES;
    let value = min(column, VALUE_DIM - 1u);                   // lanes past the end repeat the last
    let at = Lane(lane, lane / VALUES, group.y % params.value_heads, value);
    let first = at.slice * SLICE;
    let place = group.y * KEY_DIM * VALUE_DIM + value;
    var s = array<vec4f, SLICE>();
    for (var j = 0u; j < SLICE; j++) {
        if first + j < KEY_FOURS { s[j] = read_state(place, first + j); }
    }
    read_ahead(row, at);
    while row < rows.count {
        let inputs = take_row(row, at);
        let next = next_row(row + 1u, sequence);
        if next < rows.count { read_ahead(next, at); }
        if rows.row[row].position == 0u {
            for (var j = 0u; j < SLICE; j++) { s[j] = vec4f(); }
        }
        var sk = vec4f();
        var sq = vec4f();
        var kk = vec4f();
        var qq = vec4f();
        var kq = vec4f();
        for (var j = 0u; j < SLICE; j++) {
            s[j] = decayed(s[j], row, at.head, first + j);
            let k = k4(first + j);
            let q = q4(first + j);
            sk += s[j] * k;
            sq += s[j] * q;
            kk += k * k;
            qq += q * q;
            kq += k * q;
        }
        let sums = total(Sums(sum4(sk), sum4(sq), sum4(kk), sum4(qq), sum4(kq)), at);

        let k_scale = inverseSqrt(sums.kk + params.eps);
        let q_scale = inverseSqrt((sums.qq + params.eps) * f32(KEY_DIM));
        let delta = (inputs.v - inputs.decay * k_scale * sums.sk) * inputs.beta * k_scale;
        if at.slice == 0u && column < VALUE_DIM {
            y[row * params.y_stride + at.head * VALUE_DIM + column] = q_scale * (inputs.decay * sums.sq + sums.kq * delta);
        }
        for (var j = 0u; j < SLICE; j++) { s[j] = inputs.decay * s[j] + delta * k4(first + j); }
        row = next;
    }
    if column < VALUE_DIM {
        for (var j = 0u; j < SLICE; j++) {
            if first + j < KEY_FOURS { write_state(place, first + j, s[j]); }
        }
    }
}

fn sum4(v: vec4f) -> f32 { return dot(v, vec4f(1.0)); }

fn value_of(row: u32, at: Lane) -> f32 {
    let place = row * params.qkv_stride + params.v_start + at.head * VALUE_DIM + at.value;
    return qkv[place / 4u][place % 4u];
}
