//! Matrix times matrix for up to eight tokens: small batches everywhere, and prompts on adapters that run on the CPU, where
//! workgroup memory and storage are slow to read.

use crate::{
    Call, Case, FORMATS, Kernel, Variant, bytes_of_params,
    call::activations,
    formats::FORMAT,
    matvec, padded,
    parts::{
        Act, Epilogue, F16X2_BITS, F16X2_UNPACK, Input, REDUCE_NONE, ROWS, SUBGROUP, XS_ALONE,
        XS_SHARED, XS_STAGED, Xs,
    },
    random::Random,
    tolerance,
};

/// Tokens of a dispatch at most: as many as its constant `TOKENS` says, four or eight.
pub const TOKENS: u32 = 8;

/// The kernel; units are rows. The shader's constant `X_LENGTH` is 8 padded columns / 4.
pub static MATMUL_ROWS: Kernel = Kernel {
    name: "matmul_rows",
    source: include_str!("matmul_rows.wgsl"),
    uses: &[&ROWS],
    sockets: &[FORMAT, Xs::SOCKET, Act::SOCKET],
    variants: &[
        Variant {
            name: "lanes4",
            parts: &[&SUBGROUP, &XS_SHARED, &F16X2_UNPACK],
            consts: &[("WORKGROUP_SIZE", 4), ("LANES_PER_ROW", 1), ("ROWS", 8)],
            software: true,
        },
        Variant {
            name: "rows8",
            parts: &[&REDUCE_NONE, &XS_ALONE, &F16X2_UNPACK],
            consts: &[("WORKGROUP_SIZE", 8), ("LANES_PER_ROW", 1), ("ROWS", 8)],
            software: true,
        },
        Variant {
            name: "rows4",
            parts: &[&REDUCE_NONE, &XS_ALONE, &F16X2_UNPACK],
            consts: &[("WORKGROUP_SIZE", 8), ("LANES_PER_ROW", 1), ("ROWS", 4)],
            software: true,
        },
        Variant {
            name: "staged16",
            parts: &[&REDUCE_NONE, &XS_STAGED, &F16X2_BITS],
            consts: &[
                ("WORKGROUP_SIZE", 64),
                ("LANES_PER_ROW", 16),
                ("ROWS", 4),
                ("WORKGROUP_BYTES", 18 << 10),
            ],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["y"],
    grid: matvec::grid,
    reference,
    tolerance: tolerance::linear,
    cases: || Box::new(cases().into_iter()),
};

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
        /// The token of the pass that is x's first.
        token_start: u32,
        /// Number of the [`Epilogue`] that results go through.
        epilogue: u32,
    }
}

/// `y` (tokens, y_stride) from `x` (8 tokens, padded cols), the tokens from `token_start` on.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let as_matvec = matvec::Params {
        rows: p.rows,
        cols: p.cols,
        y_start: p.y_start,
        eps: 0.0,
    };
    let act = Act::of(&call.parts).expect("a part that activates gates");
    let epilogue = Epilogue::numbered(p.epilogue, act).expect("the number of an epilogue");
    let end = call.words("rows")[0].min(p.token_start + call.constant("TOKENS"));
    for token in p.token_start..end {
        let results = matvec::products(call, &as_matvec, (token - p.token_start) as usize);
        let start = (token * p.y_stride + p.y_start) as usize;
        matvec::write_results_as(call, start, &results, epilogue);
    }
}

/// Every format, each with half of the epilogues and with one activation; fewer tokens than eight, and some that are not the first.
fn cases() -> Vec<Case> {
    let mut random = Random::new(9);
    let mut cases = Vec::new();
    for (number, format) in FORMATS.iter().copied().enumerate() {
        let act = Act::ALL[number / 2 % 2];
        for (i, token_start) in [0, 8, 0, 16].into_iter().enumerate() {
            let epilogue = Epilogue::numbered(i as u32, act).expect("the number of an epilogue");
            // Sockets are independent: each epilogue meets every other format.
            if (number + i) % 2 == 1 {
                continue;
            }
            for (rows, cols, some) in [(70, 576, 8), (133, 40, 3), (1, 32, 1), (9, 1056, 5)] {
                let store = epilogue == Epilogue::Store;
                let tokens = token_start + some;
                let (odd, one) = (rows % 2 == 1 && !store, cols == 576 && i < 2);
                if odd || !(format.in_full() || one) {
                    continue;
                }
                let cols = format.whole(cols);
                let mut case = matvec::case(
                    format,
                    (Input::Plain, Epilogue::Store),
                    (rows, cols, tokens),
                    &mut random,
                );
                let y_stride = padded(rows + 64);
                let xs = [Xs::Uniform, Xs::Storage][usize::from(token_start == 8)];
                case.parts = vec![&format.part, xs.part(), act.part()];
                let at_most = if some > 4 || i < 2 {
                    TOKENS
                } else {
                    TOKENS / 2
                };
                case.consts = vec![("X_LENGTH", TOKENS * padded(cols) / 4), ("TOKENS", at_most)];
                case.name = format!("{rows}×{cols} {epilogue:?} {some} from {token_start}");
                case.params = bytes_of_params(&Params {
                    rows,
                    cols,
                    y_start: 64,
                    y_stride,
                    token_start,
                    epilogue: epilogue.number(),
                });
                case.buffers[0].1 = activations(&mut random, TOKENS, cols);
                case.buffers[1].1 = activations(&mut random, tokens, rows + 64);
                cases.push(case);
            }
        }
    }
    cases
}
