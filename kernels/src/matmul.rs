//! Matrix times matrix: every linear layer while prefilling.

use crate::{
    Call, Case, FORMATS, Kernel, Shader, Variant, bytes_of_params,
    call::activations,
    formats::FORMAT,
    matvec, padded,
    parts::{Act, Epilogue, F16X2_BITS, F16X2_UNPACK, Input, ROWS, Scalar},
    random::Random,
    tolerance,
};

/// The kernel; units are rows.
pub static MATMUL: Kernel = Kernel {
    name: "matmul",
    source: include_str!("matmul.wgsl"),
    uses: &[&ROWS],
    sockets: &[FORMAT, Epilogue::SOCKET, Scalar::SOCKET],
    variants: &[
        Variant {
            name: "tokens8",
            parts: &[&F16X2_UNPACK],
            consts: &[
                ("WORKGROUP_SIZE", 8),
                ("LANES_R", 1),
                ("LANES_T", 8),
                ("ROWS", 16),
                ("TOKENS", 2),
            ],
            software: true,
        },
        Variant {
            name: "tile128",
            parts: &[&F16X2_BITS],
            consts: &[
                ("WORKGROUP_SIZE", 256),
                ("LANES_R", 16),
                ("LANES_T", 16),
                ("ROWS", 8),
                ("TOKENS", 4),
                ("WORKGROUP_BYTES", 24_576),
            ],
            software: false,
        },
        Variant {
            name: "tile64",
            parts: &[&F16X2_BITS],
            consts: &[
                ("WORKGROUP_SIZE", 256),
                ("LANES_R", 16),
                ("LANES_T", 16),
                ("ROWS", 4),
                ("TOKENS", 4),
            ],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["y"],
    grid,
    reference,
    tolerance: tolerance::linear,
    cases: || Box::new(cases().into_iter()),
};

/// Tiles of rows and of tokens; also those of `matmul_integer`.
pub(crate) fn grid(shader: &Shader, rows: u32, tokens: u32) -> [u32; 3] {
    let rows_tile = shader.constant("ROWS") * shader.constant("LANES_R");
    let tokens_tile = shader.constant("TOKENS") * shader.constant("LANES_T");
    [rows.div_ceil(rows_tile), tokens.div_ceil(tokens_tile), 1]
}

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Rows of this piece of the matrix.
        rows: u32,
        /// Columns: the width of x.
        cols: u32,
        /// Where in a row of y the results go.
        y_start: u32,
        /// From a row of y to the next, in f32.
        y_stride: u32,
    }
}

/// `y` (tokens, y_stride) from `x` (tokens, padded cols).
pub(crate) fn reference(call: &mut Call) {
    let p: Params = call.params();
    let as_matvec = matvec::Params {
        rows: p.rows,
        cols: p.cols,
        y_start: p.y_start,
        eps: 0.0,
    };
    for token in 0..call.words("rows")[0] as usize {
        let results = matvec::products(call, &as_matvec, token);
        matvec::write_results(
            call,
            token * p.y_stride as usize + p.y_start as usize,
            &results,
        );
    }
}

/// Epilogues that kernels of many tokens have cases of.
pub(crate) const EPILOGUES: [Epilogue; 4] = [
    Epilogue::Store,
    Epilogue::Add,
    Epilogue::Glu(Act::Silu),
    Epilogue::Gate(Act::Silu),
];

/// As wide as any: llvmpipe ends a shader's loops, silently, after 65,535 turns in all. Once is enough.
const WIDE: (u32, u32, u32) = (9, 28_672, 3);

/// Every format, epilogue and scalar; tiles that are not full in either direction.
fn cases() -> Vec<Case> {
    let mut random = Random::new(4);
    let mut cases = Vec::new();
    for (number, format) in FORMATS.iter().copied().enumerate() {
        for (i, epilogue) in EPILOGUES.into_iter().enumerate() {
            for scalar in [Scalar::F32, Scalar::F16] {
                let f16 = scalar == Scalar::F16;
                for (rows, cols, tokens) in [(70, 576, 19), (130, 40, 65), (1, 32, 1), WIDE] {
                    let odd = rows % 2 == 1 && i > 0; // only `Store` takes rows one by one
                    let wide_again = cols == WIDE.1 && (format.name != "q4_1" || f16);
                    // Sockets are independent: each format meets each epilogue, and each scalar one of them.
                    let own = i == number % EPILOGUES.len();
                    let wanted = if format.in_full() {
                        own || !f16
                    } else {
                        own && !f16 && rows == 70
                    };
                    if odd || wide_again || !wanted {
                        continue;
                    }
                    let shape = (rows, format.whole(cols), tokens);
                    let mut case =
                        matvec::case(format, (Input::Plain, epilogue), shape, &mut random);
                    case.parts = vec![&format.part, epilogue.part(), scalar.part()];
                    case.consts = vec![];
                    case.name = format!("{} {}", case.name, scalar.part().name);
                    case.params = bytes_of_params(&Params {
                        rows,
                        cols: shape.1,
                        y_start: 64,
                        y_stride: padded(rows + 64),
                    });
                    case.buffers[1].1 = activations(&mut random, tokens, rows + 64);
                    cases.push(case);
                }
            }
        }
    }
    cases
}
