//! Greedy decoding on the GPU: the likeliest token becomes the next pass's input without the CPU in between.

use crate::{
    Call, Case, Kernel, Variant, bytes_of_params,
    call::words,
    parts::{REDUCE_SUBGROUP, REDUCE_WORKGROUP, STATE_ADVANCE},
    random::Random,
};

/// The kernel; one workgroup.
pub static ARGMAX: Kernel = Kernel {
    name: "argmax",
    source: include_str!("argmax.wgsl"),
    uses: &[&STATE_ADVANCE],
    sockets: &[],
    variants: &[
        Variant {
            name: "subgroup8",
            parts: &[&REDUCE_SUBGROUP],
            consts: &[("LANES", 8)],
            software: true,
        },
        Variant {
            name: "workgroup8",
            parts: &[&REDUCE_WORKGROUP],
            consts: &[("LANES", 8)],
            software: true,
        },
        Variant {
            name: "subgroup256",
            parts: &[&REDUCE_SUBGROUP],
            consts: &[("LANES", 256)],
            software: false,
        },
        Variant {
            name: "workgroup256",
            parts: &[&REDUCE_WORKGROUP],
            consts: &[("LANES", 256)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["tokens", "drawn", "state"],
    grid: |_, _, _| [1, 1, 1],
    twin,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Logits.
        vocabulary: u32,
    }
}

/// Makes `token` the next pass's input, as `state_advance.wgsl` does.
pub(crate) fn advance(call: &mut Call, token: u32) {
    call.words("tokens")[0] = token;
    let drawn = call.words("state")[2] as usize;
    let ring = call.words("drawn");
    let length = ring.len();
    ring[drawn % length] = token;
    let state = call.words("state");
    *state = vec![state[0] + state[1], 1, state[2] + 1, state[3]];
}

/// The first of the largest of `logits` (vocabulary).
fn twin(call: &mut Call) {
    let p: Params = call.params();
    let logits = call.floats("logits");
    let better = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
    let best = (0..p.vocabulary as usize).fold(0, better);
    advance(call, best as u32);
}

/// One token, fewer than lanes, real vocabularies, equal logits.
fn cases() -> Vec<Case> {
    let mut random = Random::new(7);
    let case = |(vocabulary, equal): (u32, bool)| {
        let mut logits = random.floats(vocabulary as usize);
        if equal {
            logits.fill(-7.5);
        }
        Case {
            name: format!("{vocabulary} equal: {equal}"),
            parts: vec![],
            consts: vec![],
            params: bytes_of_params(&Params { vocabulary }),
            units: 1,
            tokens: 1,
            buffers: vec![
                ("logits", words(&logits)),
                ("tokens", vec![0; 4]),
                ("drawn", vec![0; 8]),
                ("state", vec![20, 5, 9, 0]),
            ],
            weights: None,
        }
    };
    [
        (1, false),
        (7, true),
        (100, false),
        (49152, false),
        (32001, true),
    ]
    .into_iter()
    .map(case)
    .collect()
}
