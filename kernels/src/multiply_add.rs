//! How fast an adapter computes: the ceiling that prefilling is measured against.

use crate::{
    Call, Case, Kernel, Variant, bytes_of_params,
    kernel::wide_grid,
    parts::{REDUCE_NONE, Scalar},
    tolerance,
};

/// Turns of a lane's loop, of sixteen steps of every chain.
const TURNS: u32 = 32;
/// Steps of a turn.
const STEPS: u32 = 16;

/// Multiplications and additions of a lane: chains of four components.
pub fn operations(variant: &Variant) -> u32 {
    let chains = variant.get("CHAINS").expect("every variant has chains");
    2 * 4 * chains * STEPS * TURNS
}

/// The kernel; units are lanes.
pub static MULTIPLY_ADD: Kernel = Kernel {
    name: "multiply_add",
    source: include_str!("multiply_add.wgsl"),
    uses: &[&REDUCE_NONE],
    sockets: &[Scalar::SOCKET],
    variants: &[
        Variant {
            name: "lanes8",
            parts: &[],
            consts: &[("WORKGROUP_SIZE", 8), ("CHAINS", 8), ("TURNS", TURNS)],
            software: true,
        },
        Variant {
            name: "lanes8_narrow",
            parts: &[],
            consts: &[("WORKGROUP_SIZE", 8), ("CHAINS", 2), ("TURNS", TURNS)],
            software: true,
        },
        Variant {
            name: "lanes64",
            parts: &[],
            consts: &[("WORKGROUP_SIZE", 64), ("CHAINS", 8), ("TURNS", TURNS)],
            software: false,
        },
        Variant {
            name: "lanes64_narrow",
            parts: &[],
            consts: &[("WORKGROUP_SIZE", 64), ("CHAINS", 2), ("TURNS", TURNS)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |shader, lanes, _| wide_grid(lanes.div_ceil(shader.constant("WORKGROUP_SIZE"))),
    reference,
    tolerance: tolerance::f32,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Lanes that compute.
        lanes: u32,
        /// Factor of each turn.
        m: f32,
        /// Summand of each turn.
        b: f32,
    }
}

/// `y` (lanes): the sum of a lane's chains.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let (turns, chains) = (STEPS * call.constant("TURNS"), call.constant("CHAINS"));
    let chain = |start: usize| {
        let turn = |v: f64, _| v * f64::from(p.m) + f64::from(p.b);
        (0..turns).fold(start as f64, turn)
    };
    for (lane, y) in call.floats_mut("y").iter_mut().enumerate() {
        let all = (0..chains as usize).map(|c| 4.0 * chain(lane % 8 + c));
        *y = all.sum::<f64>() as f32;
    }
}

/// Chains that end near where they began in f32, and at their fixed point in f16, which has too few bits for that.
fn cases() -> Vec<Case> {
    let case = |(lanes, m, scalar): (u32, f32, Scalar)| Case {
        name: format!("{lanes} lanes by {m} {}", scalar.part().name),
        parts: vec![scalar.part()],
        consts: vec![],
        params: bytes_of_params(&Params {
            lanes,
            m,
            b: 1.0 - m,
        }),
        units: lanes,
        tokens: 1,
        buffers: vec![("y", vec![0; lanes as usize])],
        weights: None,
    };
    [
        (1, 0.99, Scalar::F32),
        (100, 0.99, Scalar::F32),
        (100, 0.5, Scalar::F16),
    ]
    .into_iter()
    .map(case)
    .collect()
}
