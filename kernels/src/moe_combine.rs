//! Weighted sum of the results of a token's experts: the last step of a mixture of experts (Jiang et al. 2024, eq. 1).

use crate::{
    Call, Case, Kernel, bytes_of_params,
    call::{activations, words},
    kernel::{LANES_64, lane_grid},
    padded,
    parts::{ExpertBias, SumInto},
    random::Random,
    tolerance,
};

/// The kernel; units are columns.
pub static MOE_COMBINE: Kernel = Kernel {
    name: "moe_combine",
    source: include_str!("moe_combine.wgsl"),
    uses: &[],
    sockets: &[SumInto::SOCKET, ExpertBias::SOCKET],
    variants: &LANES_64,
    params: Params::FIELDS,
    outputs: &["x"],
    grid: lane_grid,
    reference,
    tolerance: tolerance::f32,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Columns.
        cols: u32,
        /// Experts that a token uses.
        top_k: u32,
        /// From a row to the next, in f32.
        stride: u32,
    }
}

/// `x` (tokens, stride) from `y` (tokens, top_k, stride), `expert_weights` (tokens, top_k), and the `expert_bias` (experts,
/// cols) of those in `expert_ids` (tokens, top_k).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let (cols, top_k, stride) = (p.cols as usize, p.top_k as usize, p.stride as usize);
    let (y, expert_weights) = (call.floats("y"), call.floats("expert_weights"));
    let biases = expert_biases(call, cols);
    let add = SumInto::of(&call.parts) == Some(SumInto::Add);
    for token in 0..call.tokens as usize {
        for col in 0..cols {
            let part = |i: usize| {
                let pair = token * top_k + i;
                let bias = biases.as_ref().map_or(0.0, |biases| biases(pair, col));
                f64::from(expert_weights[pair]) * (f64::from(y[pair * stride + col]) + bias)
            };
            let sum: f64 = (0..top_k).map(part).sum();
            let x = &mut call.floats_mut("x")[token * stride + col];
            *x = (if add { f64::from(*x) } else { 0.0 } + sum) as f32;
        }
    }
}

/// The bias of a pair's expert in a column, where the call has biases: of `cols` columns an expert.
pub(crate) fn expert_biases(
    call: &mut Call,
    cols: usize,
) -> Option<impl Fn(usize, usize) -> f64 + use<>> {
    (ExpertBias::of(&call.parts) == Some(ExpertBias::Each)).then(|| {
        let (bias, ids) = (call.floats("expert_bias"), call.words("expert_ids").clone());
        move |pair: usize, col: usize| f64::from(bias[ids[pair] as usize * cols + col])
    })
}

/// Widths odd and even, one expert and several, with biases and without.
fn cases() -> Vec<Case> {
    const EXPERTS: u32 = 9;
    let mut random = Random::new(14);
    let mut cases = Vec::new();
    for (cols, top_k, tokens, into, bias) in [
        (64, 2, 3, SumInto::Add, ExpertBias::None),
        (7, 1, 1, SumInto::Store, ExpertBias::Each),
        (576, 8, 2, SumInto::Add, ExpertBias::Each),
        (36, 3, 2, SumInto::Store, ExpertBias::None),
    ] {
        let ids = (0..tokens * top_k).map(|pair| pair * 5 % EXPERTS).collect();
        cases.push(Case {
            name: format!("{top_k} of {cols} for {tokens}"),
            parts: vec![into.part(), bias.part()],
            consts: vec![],
            params: bytes_of_params(&Params {
                cols,
                top_k,
                stride: padded(cols),
            }),
            units: cols,
            tokens,
            buffers: vec![
                ("y", activations(&mut random, tokens * top_k, cols)),
                ("x", activations(&mut random, tokens, cols)),
                ("expert_ids", ids),
                (
                    "expert_bias",
                    words(&random.floats((EXPERTS * cols) as usize)),
                ),
                (
                    "expert_weights",
                    words(&random.floats((tokens * top_k) as usize)),
                ),
            ],
            weights: None,
        });
    }
    cases
}
