//! Matrix times matrix in integers: activations come as pairs of bytes from `quantise`, weights as the bytes they are.
//! Its error is that of activations of sixteen bits, 32 of which share a scale: never where exact results are wanted.

use crate::{
    Call, Case, FORMATS, Kernel, Variant, bytes_of_params,
    call::activations,
    formats::BYTES,
    matmul::{self, EPILOGUES, Params},
    matvec,
    matvec_integer::products,
    padded,
    parts::{Epilogue, F16X2_BITS, Input, PACKED, ROWS},
    quantise::packed,
    random::Random,
    tolerance,
};

/// The kernel; units are rows.
pub static MATMUL_INTEGER: Kernel = Kernel {
    name: "matmul_integer",
    source: include_str!("matmul_integer.wgsl"),
    uses: &[&PACKED, &ROWS],
    sockets: &[BYTES, Epilogue::SOCKET],
    variants: &[Variant {
        name: "integer_tile64",
        parts: &[&F16X2_BITS],
        consts: &[
            ("WORKGROUP_SIZE", 256),
            ("LANES_R", 16),
            ("LANES_T", 16),
            ("ROWS", 4),
            ("TOKENS", 4),
        ],
        software: false,
    }],
    params: Params::FIELDS,
    outputs: &["y"],
    grid: matmul::grid,
    reference,
    tolerance: tolerance::linear,
    cases: || Box::new(cases().into_iter()),
};

/// `y` (tokens, y_stride) from `x` (tokens, groups).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    for token in 0..call.words("rows")[0] {
        let results = products(call, p.cols, token as usize);
        matvec::write_results(call, (token * p.y_stride + p.y_start) as usize, &results);
    }
}

/// Every quantised format and epilogue; tiles that are not full in either direction.
fn cases() -> Vec<Case> {
    let mut random = Random::new(14);
    let mut cases = Vec::new();
    for format in FORMATS.iter().filter(|f| f.has_bytes()) {
        for epilogue in EPILOGUES {
            for (rows, cols, tokens) in [(70, 576, 19), (130, 64, 65), (1, 32, 1)] {
                let store = epilogue == Epilogue::Store;
                let (odd, one) = (rows % 2 == 1 && !store, rows > 1 && store);
                if odd || !(format.in_full() || one) {
                    continue;
                }
                let cols = format.whole(cols);
                let shape = (rows, cols, tokens);
                let mut case = matvec::case(format, (Input::Plain, epilogue), shape, &mut random);
                case.parts = vec![&format.part, epilogue.part()];
                case.consts = vec![];
                case.params = bytes_of_params(&Params {
                    rows,
                    cols,
                    y_start: 64,
                    y_stride: padded(rows + 64),
                });
                let floats: &[f32] = bytemuck::cast_slice(&case.buffers[0].1);
                case.buffers[0].1 = packed(floats);
                case.buffers[1].1 = activations(&mut random, tokens, rows + 64);
                cases.push(case);
            }
        }
    }
    cases
}
