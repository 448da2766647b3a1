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
        Variant::new(
            "matrix16",
            &F16,
            &consts(Cooperative::F16, 32, [4, 2], 1),
            false,
        ),
        Variant::new(
            "matrix16_tile64",
            &F16,
            &consts(Cooperative::F16, 32, [2, 2], 2),
            false,
        ),
        Variant::new(
            "matrix16_wave64",
            &F16,
            &consts(Cooperative::F16, 64, [4, 2], 2),
            false,
        ),
        Variant::new(
            "matrix8",
            &F16_8,
            &consts(Cooperative::F16Side8, 32, [4, 4], 2),
            false,
        ),
        Variant::new(
            "matrix8_f32",
            &F32,
            &consts(Cooperative::F32, 32, [4, 4], 1),
            false,
        ),
        Variant::new(
            "matrix8_lanes8",
            &F16_8,
            &consts(Cooperative::F16Side8, 8, [2, 2], 1),
            true,
        ),
    ],
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |shader, rows, tokens| {
        let side = shader.variant.cooperative().map_or(1, Cooperative::side);
        let tile = |matrices| 2 * shader.constant(matrices) * side;
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

/// Constants of a workgroup of 2 × 2 subgroups of `lanes` lanes, each with `rows` × `tokens` matrices, whose tiles have
/// `step_groups` groups.
const fn consts(
    kind: Cooperative,
    lanes: u32,
    [rows, tokens]: [u32; 2],
    step_groups: u32,
) -> Consts {
    let side = kind.side();
    let stride = 32 * step_groups + 8;
    let tile_bytes = 2 * (rows + tokens) * side * stride * if kind.f16() { 2 } else { 4 };
    [
        ("WORKGROUP_SIZE", 4 * lanes),
        ("SUBGROUP", lanes),
        ("ROWS", rows),
        ("TOKENS", tokens),
        ("STEP_GROUPS", step_groups),
        ("WORKGROUP_BYTES", tile_bytes + 4 * side * side * 4),
    ]
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
