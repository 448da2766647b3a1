//! How fast an adapter reads memory: the ceiling that decoding is measured against.

use crate::{
    Call, Case, Kernel, Variant, bytes_of_params,
    kernel::wide_grid,
    parts::{PLANE_QUANTS, REDUCE_NONE},
    random::Random,
    tolerance,
};

/// Vectors of 16 bytes that a lane reads.
pub const TURNS: u32 = 256;

/// The kernel; units are lanes.
pub static READ: Kernel = Kernel {
    name: "read",
    source: include_str!("read.wgsl"),
    uses: &[&REDUCE_NONE, &PLANE_QUANTS],
    sockets: &[],
    variants: &[
        Variant {
            name: "runs",
            parts: &[],
            consts: &[("WORKGROUP_SIZE", 8), ("TURNS", TURNS), ("RUNS", 1)],
            software: true,
        },
        Variant {
            name: "neighbours",
            parts: &[],
            consts: &[("WORKGROUP_SIZE", 256), ("TURNS", TURNS), ("RUNS", 0)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["sums"],
    grid: |shader, lanes, _| wide_grid(lanes.div_ceil(shader.constant("WORKGROUP_SIZE"))),
    reference,
    tolerance: tolerance::exact,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Lanes that read.
        lanes: u32,
    }
}

/// `sums` (lanes): the exclusive or of the words that each reads.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let (lanes, turns) = (p.lanes as usize, call.constant("TURNS") as usize);
    let runs = call.constant("RUNS") == 1;
    let words = call.words("w_quants").clone();
    let fold = |lane: usize, turn: usize| {
        let place = if runs {
            lane * turns + turn
        } else {
            turn * lanes + lane
        };
        words[4 * place..][..4]
            .iter()
            .fold(0, |sum, word| sum ^ word)
    };
    for (lane, sum) in call.words("sums").iter_mut().enumerate() {
        *sum = (0..turns).fold(0, |sum, turn| sum ^ fold(lane, turn));
    }
}

/// Fewer lanes than a workgroup, and more.
fn cases() -> Vec<Case> {
    let mut random = Random::new(11);
    let case = |lanes: u32| Case {
        name: format!("{lanes} lanes"),
        parts: vec![],
        consts: vec![],
        params: bytes_of_params(&Params { lanes }),
        units: lanes,
        tokens: 1,
        buffers: vec![
            (
                "w_quants",
                (0..lanes * TURNS * 4)
                    .map(|_| random.bits() as u32)
                    .collect(),
            ),
            ("sums", vec![0; lanes as usize]),
        ],
        weights: None,
    };
    [3, 300].into_iter().map(case).collect()
}
