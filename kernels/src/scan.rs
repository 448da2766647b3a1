//! Selective scan: the state space model of Mamba (Gu & Dao 2023, arXiv 2312.00752, algorithm 2), whose channels each have
//! a state that decays by a step which the row chooses, and a gate; in Mamba 2 (Dao & Gu 2024, arXiv 2405.21060, section 7) the channels
//! of a head share step and decay.

use crate::{
    Call, Case, Kernel, Variant, bytes_of_params,
    call::{ROWS_HEADER, Row, activations, consecutive, interleaved, words},
    norm::rms_norm,
    padded,
    parts::{EXPONENTIALS, NEXT_ROW, SCAN_ALONE, SCAN_SHARED, ScanDecay, Selected},
    pointwise::{silu, softplus},
    random::Random,
    tolerance,
};

/// The kernel; units are the heads of all sequences. The constants `HEAD_DIM` and `STATE_DIM` (a multiple of 4) are the
/// channels of a head and the values of a channel's state.
pub static SCAN: Kernel = Kernel {
    name: "scan",
    source: include_str!("scan.wgsl"),
    uses: &[&NEXT_ROW, &EXPONENTIALS],
    sockets: &[ScanDecay::SOCKET, Selected::SOCKET],
    variants: &[
        Variant::new(
            "channels8",
            &[&SCAN_ALONE],
            &[("WORKGROUP_SIZE", 8), ("CHANNELS", 8)],
            true,
        ),
        Variant::new(
            "channels32",
            &[&SCAN_SHARED],
            &[("WORKGROUP_SIZE", 128), ("CHANNELS", 32)],
            false,
        ),
        Variant::new(
            "channels16",
            &[&SCAN_SHARED],
            &[("WORKGROUP_SIZE", 128), ("CHANNELS", 16)],
            false,
        ),
    ],
    params: Params::FIELDS,
    outputs: &["y", "ssm_state"],
    grid: |shader, heads, _| {
        let channels = shader.constant("HEAD_DIM");
        [channels.div_ceil(shader.constant("CHANNELS")), heads, 1]
    },
    reference,
    tolerance: tolerance::f32,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Heads.
        heads: u32,
        /// Neighbouring heads that share b and c.
        share: u32,
        /// From a row of x to the next, in f32.
        x_stride: u32,
        /// From a row of bc to the next, in f32.
        bc_stride: u32,
        /// Column of bc with the first b; a multiple of 4.
        b_start: u32,
        /// Column of bc with the first c; a multiple of 4.
        c_start: u32,
        /// From a row of dt to the next, in f32.
        dt_stride: u32,
        /// Column of dt with the first head's, or the first channel's.
        dt_start: u32,
        /// From a row of gates to the next, in f32.
        gate_stride: u32,
        /// Column of gates with the first channel's.
        gate_start: u32,
        /// From a row of y to the next, in f32.
        y_stride: u32,
        /// Column of y with the first channel's.
        y_start: u32,
        /// Is added to the mean squares of b and of c, where they are normed.
        eps: f32,
    }
}

/// Numbers of a channel: its column of dt, a for each value of its state, d, and the bias of dt.
fn numbers(
    all: &[f32],
    decay: ScanDecay,
    [heads, head_dim, state_dim]: [usize; 3],
    (head, channel): (usize, usize),
) -> (usize, Vec<f32>, [f32; 2]) {
    match decay {
        ScanDecay::Head => (
            head,
            vec![all[head]; state_dim],
            [1, 2].map(|kind| all[kind * heads + head]),
        ),
        ScanDecay::Channel => (
            channel,
            all[channel * state_dim..][..state_dim].to_vec(),
            [0, 1].map(|kind| all[head_dim * (state_dim + kind) + channel]),
        ),
    }
}

/// The b, or the c, of a row: normed, where there are weights of b and then of c behind `all` numbers.
fn selected_of(v: &[f32], (selected, which): (Selected, usize), all: &[f32], eps: f32) -> Vec<f64> {
    match selected {
        Selected::Plain => v.iter().map(|&v| f64::from(v)).collect(),
        Selected::Normed => rms_norm(v, &all[all.len() - (2 - which) * v.len()..], eps),
    }
}

/// `y` (tokens, y_stride) from `x` (tokens, x_stride), `bc` (tokens, bc_stride), `dt` (tokens, dt_stride) and the `gates`
/// (tokens, gate_stride), with `a_d_bias`:
/// (3, heads), or for each channel STATE_DIM of a, then of all channels d and then the bias; and then the weights of the norms of b and c, where
/// they are normed. `ssm_state` (sequences, heads,
/// STATE_DIM, HEAD_DIM) goes on from row to row; a row at position 0 starts from zeros.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let [head_dim, state_dim] = ["HEAD_DIM", "STATE_DIM"].map(|name| call.constant(name) as usize);
    let heads = p.heads as usize;
    let decay = ScanDecay::of(&call.parts).expect("a decay");
    let kind = Selected::of(&call.parts).expect("plain or normed");
    let rows = call.rows();
    let [x, bc, dt, gates, all] =
        ["x", "bc", "dt", "gates", "a_d_bias"].map(|name| call.floats(name));
    for (unit, channel) in (0..call.units as usize).flat_map(|u| (0..head_dim).map(move |c| (u, c)))
    {
        let (sequence, head) = ((unit / heads) as u32, unit % heads);
        let sizes = [heads, head_dim, state_dim];
        let (column, a, [d, bias]) = numbers(&all, decay, sizes, (head, channel));
        let group = head / p.share as usize * state_dim;
        let place = unit * state_dim * head_dim + channel;
        let state = call.floats_mut("ssm_state")[place..].iter();
        let state = state.step_by(head_dim).take(state_dim);
        let mut state: Vec<f64> = state.map(|&s| f64::from(s)).collect();
        let own = |(_, row): &(usize, &Row)| row.sequence == sequence;
        for (i, row) in rows.iter().enumerate().filter(own) {
            if row.position == 0 {
                state.fill(0.0);
            }
            let dt = dt[i * p.dt_stride as usize + p.dt_start as usize + column];
            let dt = softplus(f64::from(dt) + f64::from(bias));
            let x = f64::from(x[i * p.x_stride as usize + head * head_dim + channel]);
            let bc = &bc[i * p.bc_stride as usize + group..];
            let [b, c] = [(p.b_start, 0), (p.c_start, 1)].map(|(start, which)| {
                let own = &bc[start as usize..][..state_dim];
                selected_of(own, (kind, which), &all, p.eps)
            });
            for ((s, &a), b) in state.iter_mut().zip(&a).zip(b) {
                *s = *s * (f64::from(a) * dt).exp() + dt * x * b;
            }
            let products = state.iter().zip(c).map(|(s, c)| s * c);
            let z = gates
                [i * p.gate_stride as usize + p.gate_start as usize + head * head_dim + channel];
            let y = (products.sum::<f64>() + f64::from(d) * x) * silu(f64::from(z));
            let to_y = i * p.y_stride as usize + p.y_start as usize;
            call.floats_mut("y")[to_y + head * head_dim + channel] = y as f32;
        }
        let to_state = call.floats_mut("ssm_state")[place..].iter_mut();
        let to_state = to_state.step_by(head_dim);
        to_state.zip(state).for_each(|(to, s)| *to = s as f32);
    }
}

/// Rows of so many values from a column on, times a factor; in that column the first rows have other values.
fn rows_from(
    random: &mut Random,
    rows: u32,
    (start, cols): (u32, u32),
    (factor, first): (f32, [f32; 4]),
) -> Vec<f32> {
    let stride = padded(start + cols) as usize;
    let mut all = random.floats(rows as usize * stride);
    for v in &mut all {
        *v *= factor;
    }
    for (row, value) in all.chunks_exact_mut(stride).zip(first) {
        row[start as usize] = value;
    }
    all
}

/// Numbers of so many heads or channels, and the weights of norms where there are such.
fn numbers_of_case(
    random: &mut Random,
    (decay, selected): (ScanDecay, Selected),
    columns: u32,
    state_dim: u32,
) -> Vec<f32> {
    let rates = match decay {
        ScanDecay::Head => columns,
        ScanDecay::Channel => columns * state_dim,
    };
    let part = |rate: u32| rate as f32 / rates as f32;
    let mut numbers: Vec<f32> = (0..rates)
        .map(|rate| -0.01 - 16.0 * part(rate).powi(4))
        .collect();
    numbers.extend(random.floats(2 * columns as usize));
    if selected == Selected::Normed {
        numbers.extend(random.floats(2 * state_dim as usize));
    }
    numbers
}

/// A case of `heads` by `share` over so many channels and values; steps of the first rows are far from zero.
fn case(
    random: &mut Random,
    (decay, selected, sizes): (ScanDecay, Selected, [u32; 4]),
    sequences: u32,
    rows: Vec<u32>,
    unused: u32,
) -> Case {
    let [heads, share, head_dim, state_dim] = sizes;
    let (position, count) = (rows[ROWS_HEADER + 1], rows[0]);
    let (channels, groups) = (heads * head_dim, heads / share);
    let columns = match decay {
        ScanDecay::Head => heads,
        ScanDecay::Channel => channels,
    };
    let (b_start, dt_start, gate_start, y_start) = (4, 3, 5, 7);
    let c_start = b_start + groups * state_dim;
    let bc_width = c_start + groups * state_dim;
    let tokens = count + unused;
    let far = [60.0, -60.0, 1e4, -1e4];
    let dt = rows_from(random, tokens, (dt_start, columns), (6.0, far));
    let far = [1e4, -1e4, 90.0, -90.0];
    let gates = rows_from(random, tokens, (gate_start, channels), (1.0, far));
    let numbers = numbers_of_case(random, (decay, selected), columns, state_dim);
    let state = random.floats((sequences * channels * state_dim) as usize);
    Case {
        name: format!(
            "{decay:?} {selected:?} {heads} heads of {head_dim} by {share}, {state_dim} values, {count} rows of {sequences} sequences from {position}"
        ),
        parts: vec![decay.part(), selected.part()],
        consts: vec![("HEAD_DIM", head_dim), ("STATE_DIM", state_dim)],
        params: bytes_of_params(&Params {
            heads,
            share,
            x_stride: padded(channels),
            bc_stride: padded(bc_width),
            b_start,
            c_start,
            dt_stride: padded(dt_start + columns),
            dt_start,
            gate_stride: padded(gate_start + channels),
            gate_start,
            y_stride: padded(y_start + channels),
            y_start,
            eps: 1e-5,
        }),
        units: heads * sequences,
        tokens,
        buffers: vec![
            ("x", activations(random, tokens, channels)),
            ("bc", activations(random, tokens, bc_width)),
            ("dt", words(&dt)),
            ("gates", words(&gates)),
            ("a_d_bias", words(&numbers)),
            ("y", activations(random, tokens, y_start + channels)),
            ("ssm_state", words(&state)),
            ("rows", rows),
        ],
        weights: None,
    }
}

/// Both decays, b and c as they are and normed; heads small, odd and real, that share b and c or do not; one row, and many; a state that goes on and one that
/// begins; two sequences in turns beside one without rows; rows beyond the count.
fn cases() -> Vec<Case> {
    let mut random = Random::new(29);
    let mut cases = Vec::new();
    let mut add = |parts: (ScanDecay, Selected), sizes: [u32; 4], sequences, rows, unused| {
        let parts = (parts.0, parts.1, sizes);
        cases.push(case(&mut random, parts, sequences, rows, unused));
    };
    let head = (ScanDecay::Head, Selected::Plain);
    add(head, [8, 4, 16, 16], 1, consecutive(0, 24), 0);
    add(head, [5, 5, 16, 16], 1, consecutive(5, 3), 2);
    add(head, [6, 3, 16, 12], 3, interleaved(1, 13), 1);
    add(head, [3, 1, 1, 4], 1, consecutive(1, 1), 0);
    add(head, [2, 1, 40, 64], 1, consecutive(3, 300), 0);
    add(head, [1, 1, 64, 256], 1, consecutive(0, 3), 0);
    add(head, [48, 48, 64, 128], 1, consecutive(70, 2), 0);
    add(head, [8, 1, 80, 128], 1, consecutive(0, 3), 3);
    for &selected in Selected::ALL {
        let channel = (ScanDecay::Channel, selected);
        add(channel, [1, 1, 128, 16], 1, consecutive(0, 24), 0);
        add(channel, [1, 1, 37, 12], 3, interleaved(1, 13), 1);
        add(channel, [1, 1, 1, 4], 1, consecutive(1, 1), 2);
        add(channel, [1, 1, 40, 16], 1, consecutive(3, 300), 0);
        add(channel, [1, 1, 4096, 16], 1, consecutive(70, 2), 0);
    }
    cases
}
