//! Matrix times matrix by the matrix instructions of subgroups: wgpu's experimental cooperative matrices. The same
//! operation as `matmul`, with its cases.

use crate::{
    Case, Cooperative, Kernel, Part, Variant,
    formats::FORMAT,
    matmul::{self, Params},
    parts::{
        COOPERATIVE_F16, COOPERATIVE_F16_8, COOPERATIVE_F32, Epilogue, F16X2_BITS, ROWS, Scalar,
    },
    tolerance,
};

/// The kernel; units are rows.
pub static MATMUL_COOPERATIVE: Kernel = Kernel {
    name: "matmul_cooperative",
    source: include_str!("matmul_cooperative.wgsl"),
    uses: &[&ROWS],
    sockets: &[FORMAT, Epilogue::SOCKET],
    variants: &[
        variant("matrix16", &F16, &consts(32, 4, 2, 1, 19_456)),
        variant("matrix16_tile64", &F16, &consts(32, 2, 2, 2, 22_528)),
        variant("matrix16_wave64", &F16, &consts(64, 4, 2, 2, 31_744)),
        variant("matrix8", &F16_8, &consts(32, 4, 4, 2, 19_456)),
        variant("matrix8_f32", &F32, &consts(32, 4, 4, 1, 21_504)),
        Variant {
            software: true,
            ..variant("matrix8_lanes8", &F16_8, &consts(8, 2, 2, 1, 6_144))
        },
    ],
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |shader, rows, tokens| {
        let mut parts = shader.variant.parts.iter();
        let side = parts.find_map(|part| part.cooperative.map(Cooperative::side));
        let tile = |matrices| 2 * shader.constant(matrices) * side.expect("matrices");
        [
            rows.div_ceil(tile("ROWS")),
            tokens.div_ceil(tile("TOKENS")),
            1,
        ]
    },
    reference: matmul::reference,
    tolerance: tolerance::linear,
    cases: || Box::new(cases().into_iter()),
};

static F16: [&Part; 2] = [&COOPERATIVE_F16, &F16X2_BITS];
static F16_8: [&Part; 2] = [&COOPERATIVE_F16_8, &F16X2_BITS];
static F32: [&Part; 2] = [&COOPERATIVE_F32, &F16X2_BITS];

type Consts = [(&'static str, u32); 6];

/// Constants of a workgroup of 2 × 2 subgroups of `lanes` lanes, each with `rows` × `tokens` matrices, whose tiles of
/// `step_groups` groups take `bytes`.
const fn consts(lanes: u32, rows: u32, tokens: u32, step_groups: u32, bytes: u32) -> Consts {
    [
        ("WORKGROUP_SIZE", 4 * lanes),
        ("SUBGROUP", lanes),
        ("ROWS", rows),
        ("TOKENS", tokens),
        ("STEP_GROUPS", step_groups),
        ("WORKGROUP_BYTES", bytes),
    ]
}

const fn variant(
    name: &'static str,
    parts: &'static [&'static Part],
    consts: &'static Consts,
) -> Variant {
    Variant {
        name,
        parts,
        consts,
        software: false,
    }
}

/// The cases of `matmul`, once each.
fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = (matmul::MATMUL.cases)().collect();
    cases.retain(|case| Scalar::of(&case.parts) != Some(Scalar::F16));
    for case in &mut cases {
        case.parts.truncate(2);
    }
    cases
}
