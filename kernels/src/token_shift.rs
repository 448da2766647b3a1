//! Token shift (RWKV, Peng et al. 2023): a row on its way to the row before it, column by column, by several shares at once.

use crate::{
    Call, Case, Kernel, bytes_of_params,
    call::{ROWS_HEADER, Row, activations, consecutive, interleaved, words},
    kernel::{LANES_64, wide_grid},
    padded,
    parts::NEXT_ROW,
    random::Random,
    tolerance,
};

/// The kernel; units are the channels of all sequences. The constant `RESULTS` is how many results a row has.
pub static TOKEN_SHIFT: Kernel = Kernel {
    name: "token_shift",
    source: include_str!("token_shift.wgsl"),
    uses: &[&NEXT_ROW],
    sockets: &[],
    variants: &LANES_64,
    params: Params::FIELDS,
    outputs: &["y", "shift_state"],
    grid: |shader, units, _| wide_grid(units.div_ceil(shader.constant("WORKGROUP_SIZE"))),
    reference,
    tolerance: tolerance::f32,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Channels of a row.
        channels: u32,
        /// From a row's x to the next's, in f32.
        x_stride: u32,
        /// From a row's y to the next's, in f32.
        y_stride: u32,
        /// From a result to the next of the row, in f32.
        y_step: u32,
    }
}

/// `y` (tokens, y_stride) from `x` (tokens, x_stride), the rows before them and `shares` (RESULTS, channels). `shift_state` (sequences,
/// channels) has the row before the first; a row at position 0 has zeros before it.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let (channels, results) = (p.channels as usize, call.constant("RESULTS") as usize);
    let rows = call.rows();
    let (shares, x) = (call.floats("shares"), call.floats("x"));
    for sequence in 0..call.units / p.channels {
        let place = sequence as usize * channels;
        let mut before = call.floats("shift_state")[place..][..channels].to_vec();
        let own = |(_, row): &(usize, &Row)| row.sequence == sequence;
        for (i, row) in rows.iter().enumerate().filter(own) {
            if row.position == 0 {
                before.fill(0.0);
            }
            let x = &x[i * p.x_stride as usize..][..channels];
            for (result, shares) in shares.chunks_exact(channels).take(results).enumerate() {
                let to_y = i * p.y_stride as usize + result * p.y_step as usize;
                let y = &mut call.floats_mut("y")[to_y..];
                for (channel, y) in y.iter_mut().take(channels).enumerate() {
                    let [x, before, share] =
                        [x[channel], before[channel], shares[channel]].map(f64::from);
                    *y = (x + (before - x) * share) as f32;
                }
            }
            before.copy_from_slice(x);
        }
        call.floats_mut("shift_state")[place..][..channels].copy_from_slice(&before);
    }
}

/// One result and several; odd and real numbers of channels; one row, a state that goes on and one that begins, two sequences in
/// turns beside one without rows, rows beyond the count.
fn cases() -> Vec<Case> {
    let mut random = Random::new(45);
    let mut cases = Vec::new();
    let mut add = |[results, channels, sequences]: [u32; 3], rows: Vec<u32>, unused: u32| {
        let (position, count) = (rows[ROWS_HEADER + 1], rows[0]);
        let (tokens, y_step) = (count + unused, padded(channels));
        let mut floats = |count: u32| words(&random.floats(count as usize));
        let (shares, state) = (floats(results * channels), floats(sequences * channels));
        cases.push(Case {
            name: format!(
                "{results} of {channels} channels, {count} rows of {sequences} sequences from {position}"
            ),
            parts: vec![],
            consts: vec![("RESULTS", results)],
            params: bytes_of_params(&Params {
                channels,
                x_stride: padded(channels),
                y_stride: results * y_step,
                y_step,
            }),
            units: channels * sequences,
            tokens,
            buffers: vec![
                ("shares", shares),
                ("x", activations(&mut random, tokens, channels)),
                ("y", activations(&mut random, tokens, results * y_step)),
                ("shift_state", state),
                ("rows", rows),
            ],
            weights: None,
        });
    };
    add([1, 40, 1], consecutive(0, 1), 0);
    add([6, 7, 1], consecutive(5, 2), 1);
    add([6, 64, 3], interleaved(1, 9), 2);
    add([2, 160, 1], consecutive(0, 24), 0);
    add([6, 4096, 1], consecutive(70, 5), 0);
    cases
}
