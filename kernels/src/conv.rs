//! Causal depthwise convolution over the rows of a sequence: what mixers with a recurrent state put before it, with SiLU
//! (Gated Delta Networks, Yang et al. 2024, section 3.4; first in H3, Fu et al. 2022) and a bias (Mamba, Gu & Dao 2023), or
//! a mixer by itself, between two gates (LFM2, Liquid AI 2025).

use crate::{
    Call, Case, Kernel, bytes_of_params,
    call::{ROWS_HEADER, Row, activations, consecutive, interleaved, words},
    kernel::{LANES_64, wide_grid},
    padded,
    parts::{ConvForm, NEXT_ROW},
    pointwise::silu,
    random::Random,
    tolerance,
};

/// The kernel; units are the channels of all sequences. The constant `KERNEL_SIZE` is the width of the convolution.
pub static CONV: Kernel = Kernel {
    name: "conv",
    source: include_str!("conv.wgsl"),
    uses: &[&NEXT_ROW],
    sockets: &[ConvForm::SOCKET],
    variants: &LANES_64,
    params: Params::FIELDS,
    outputs: &["y", "conv_state"],
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
        /// Column of x with the first channel.
        x_start: u32,
        /// From a row's y to the next's, in f32.
        y_stride: u32,
    }
}

/// `y` (tokens, y_stride) from `x` (tokens, x_stride) and `conv_weight` (channels, KERNEL_SIZE): `Σ weight[j] · x[t - KERNEL_SIZE + 1 + j]`
/// over the rows of one sequence, in its form. `conv_state` (sequences, KERNEL_SIZE - 1, channels) has the inputs before them, the oldest
/// first; a row at position 0 has none.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let size = call.constant("KERNEL_SIZE") as usize;
    let (channels, kept) = (p.channels as usize, size - 1);
    let rows = call.rows();
    let (weight, x) = (call.floats("conv_weight"), call.floats("x"));
    let form = ConvForm::of(&call.parts).expect("a form");
    let bias = if form == ConvForm::SiluBias {
        call.floats("conv_bias")
    } else {
        vec![0.0; channels]
    };
    for sequence in 0..call.units / p.channels {
        let place = sequence as usize * kept * channels;
        let mut state = call.floats("conv_state")[place..][..kept * channels].to_vec();
        let own = |(_, row): &(usize, &Row)| row.sequence == sequence;
        for (i, row) in rows.iter().enumerate().filter(own) {
            if row.position == 0 {
                state.fill(0.0);
            }
            let own = &x[i * p.x_stride as usize + p.x_start as usize..];
            if form == ConvForm::Gated {
                let products = own.iter().zip(&own[2 * channels..]);
                state.extend(products.take(channels).map(|(b, x)| b * x));
            } else {
                state.extend(&own[..channels]);
            }
            for channel in 0..channels {
                let weights = weight[channel * size..][..size].iter();
                let inputs = state[channel..].iter().step_by(channels);
                let products = weights.zip(inputs);
                let sum: f64 = products.map(|(&w, &x)| f64::from(w) * f64::from(x)).sum();
                call.floats_mut("y")[i * p.y_stride as usize + channel] = match form {
                    ConvForm::Silu | ConvForm::SiluBias => silu(sum + f64::from(bias[channel])),
                    ConvForm::Gated => sum * f64::from(own[channels + channel]),
                } as f32;
            }
            state.drain(..channels);
        }
        call.floats_mut("conv_state")[place..][..kept * channels].copy_from_slice(&state);
    }
}

/// All forms; sizes of 2 to 4, odd and real numbers of channels, rows fewer than the state keeps, a state that goes on and one that
/// begins, two sequences in turns beside one without rows, rows beyond the count, values far from zero.
fn cases() -> Vec<Case> {
    let mut random = Random::new(18);
    let mut cases = Vec::new();
    let mut add = |form: ConvForm,
                   [size, channels, x_start, sequences]: [u32; 4],
                   rows: Vec<u32>,
                   unused: u32| {
        let (position, count) = (rows[ROWS_HEADER + 1], rows[0]);
        let width = x_start + if form == ConvForm::Gated { 3 } else { 1 } * channels;
        let mut x = random.floats(((count + unused) * padded(width)) as usize);
        x.iter_mut().step_by(7).for_each(|x| *x *= 200.0);
        let weight = random.floats((channels * size) as usize);
        let state = random.floats((sequences * (size - 1) * channels) as usize);
        cases.push(Case {
            name: format!(
                "{form:?} {channels} channels by {size}, {count} rows of {sequences} sequences from {position}"
            ),
            parts: vec![form.part()],
            consts: vec![("KERNEL_SIZE", size)],
            params: bytes_of_params(&Params {
                channels,
                x_stride: padded(width),
                x_start,
                y_stride: padded(channels),
            }),
            units: channels * sequences,
            tokens: count + unused,
            buffers: vec![
                ("conv_weight", words(&weight)),
                ("conv_bias", words(&random.floats(channels as usize))),
                ("x", words(&x)),
                ("y", activations(&mut random, count + unused, channels)),
                ("conv_state", words(&state)),
                ("rows", rows),
            ],
            weights: None,
        });
    };
    for (size, channels) in [(2, 1), (3, 40), (4, 7), (4, 160)] {
        add(ConvForm::Silu, [size, channels, 0, 1], consecutive(0, 1), 0);
        add(
            ConvForm::SiluBias,
            [size, channels, 3, 1],
            consecutive(5, 2),
            1,
        );
        add(
            ConvForm::Gated,
            [size, channels, 32, 1],
            consecutive(0, 9),
            3,
        );
        add(ConvForm::Silu, [size, channels, 0, 3], interleaved(1, 9), 2);
    }
    add(ConvForm::Gated, [3, 40, 0, 3], interleaved(1, 9), 2);
    add(ConvForm::Silu, [4, 8192, 0, 1], consecutive(70, 5), 0);
    cases
}
