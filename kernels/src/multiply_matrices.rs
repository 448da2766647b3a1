//! How fast an adapter multiplies matrices: the ceiling of prefilling by its matrix instructions.

use crate::{
    Call, Case, Cooperative, Kernel, Part, Variant, bytes_of_params,
    parts::{COOPERATIVE_F16, COOPERATIVE_F16_8, COOPERATIVE_F32},
    tolerance,
};

/// Turns of a workgroup's loop, of eight steps of every sum.
const TURNS: u32 = 64;
/// Steps of a turn.
const STEPS: u32 = 8;
/// Sums of a workgroup.
const CHAINS: u32 = 4;

/// The kernel; units are lanes.
pub static MULTIPLY_MATRICES: Kernel = Kernel {
    name: "multiply_matrices",
    source: include_str!("multiply_matrices.wgsl"),
    uses: &[],
    sockets: &[],
    variants: &[
        Variant::new("matrix16", &F16, &consts(32), false),
        Variant::new("matrix16_wave64", &F16, &consts(64), false),
        Variant::new("matrix8", &F16_8, &consts(32), false),
        Variant::new("matrix8_f32", &F32, &consts(32), false),
        Variant::new("matrix8_lanes8", &F16_8, &consts(8), true),
    ],
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |shader, lanes, _| [lanes.div_ceil(shader.constant("WORKGROUP_SIZE")), 1, 1],
    reference,
    tolerance: tolerance::f32,
    cases: || Box::new(cases().into_iter()),
};

static F16: [&Part; 1] = [&COOPERATIVE_F16];
static F16_8: [&Part; 1] = [&COOPERATIVE_F16_8];
static F32: [&Part; 1] = [&COOPERATIVE_F32];

type Consts = [(&'static str, u32); 4];

/// Constants of a workgroup of one subgroup of `lanes`.
const fn consts(lanes: u32) -> Consts {
    [
        ("WORKGROUP_SIZE", lanes),
        ("SUBGROUP", lanes),
        ("CHAINS", CHAINS),
        ("TURNS", TURNS),
    ]
}

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Lanes of all workgroups.
        lanes: u32,
        /// Every element of both matrices.
        factor: f32,
    }
}

/// Multiplications and additions of a workgroup.
pub fn operations(variant: &Variant) -> u32 {
    let side = variant.cooperative().map_or(1, Cooperative::side);
    2 * side.pow(3) * CHAINS * STEPS * TURNS
}

/// `y` (lanes): an element of the sum of a workgroup's sums, divided by the elements of a row.
fn reference(call: &mut Call) {
    let factor = f64::from(call.params::<Params>().factor);
    let products = f64::from(CHAINS * STEPS * TURNS);
    let y = call.floats_mut("y");
    y.fill((products * factor * factor) as f32);
}

/// Powers of two, whose sums are exact.
fn cases() -> Vec<Case> {
    let case = |lanes: u32| Case {
        name: format!("{lanes} lanes"),
        parts: vec![],
        consts: vec![],
        params: bytes_of_params(&Params {
            lanes,
            factor: 0.125,
        }),
        units: lanes,
        tokens: 1,
        buffers: vec![("y", vec![0; lanes as usize])],
        weights: None,
    };
    vec![case(1), case(100)]
}
