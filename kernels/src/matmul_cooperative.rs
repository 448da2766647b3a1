//! Matrix times matrix by the matrix instructions of subgroups: wgpu's experimental cooperative matrices. The same
//! operation as `matmul`, with its cases. Not yet run on hardware that has them; with plain loops in place of the matrix
//! instructions, and a lane for each subgroup, it did what its reference does on SwiftShader.

use crate::{
    Case, Kernel, Variant,
    formats::FORMAT,
    matmul::{self, Params},
    parts::{COOPERATIVE_F16, COOPERATIVE_F32, Epilogue, F16X2_BITS, ROWS, Scalar},
    tolerance,
};

/// The kernel; units are rows.
pub static MATMUL_COOPERATIVE: Kernel = Kernel {
    name: "matmul_cooperative",
    source: include_str!("matmul_cooperative.wgsl"),
    uses: &[&ROWS],
    sockets: &[FORMAT, Epilogue::SOCKET],
    variants: &[
        Variant {
            name: "cooperative_f16",
            parts: &[&COOPERATIVE_F16, &F16X2_BITS],
            consts: &[("WORKGROUP_SIZE", 128), ("SUBGROUP", 32)],
            software: false,
        },
        Variant {
            name: "cooperative_f32",
            parts: &[&COOPERATIVE_F32, &F16X2_BITS],
            consts: &[("WORKGROUP_SIZE", 128), ("SUBGROUP", 32)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |shader, rows, tokens| {
        let f16 = shader.variant.parts.iter().any(|part| part.f16);
        let tile = if f16 { 64 } else { 32 };
        [rows.div_ceil(tile), tokens.div_ceil(tile), 1]
    },
    reference: matmul::reference,
    tolerance: tolerance::linear,
    cases: || Box::new(cases().into_iter()),
};

/// The cases of `matmul`, once each.
fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = (matmul::MATMUL.cases)().collect();
    cases.retain(|case| Scalar::of(&case.parts) != Some(Scalar::F16));
    for case in &mut cases {
        case.parts.truncate(2);
    }
    cases
}
