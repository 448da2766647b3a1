//! Matrix times matrix on adapters that run on the CPU, where workgroup memory and storage are slow to read.

use crate::{
    Call, Case, FORMATS, Kernel, Part, Variant, bytes_of_params,
    call::activations,
    formats::FORMAT,
    kernel::wide_grid,
    matvec, padded,
    parts::{
        F16X2_UNPACK, FINISH_STORE, Finish, GATES, GELU, INPUT_PLAIN, REDUCE_NONE, ROWS, SILU,
        SUBGROUP, XS, XS_ALONE, XS_SHARED, XS_STORAGE, XS_UNIFORM,
    },
    random::Random,
    tolerance,
};

/// Tokens of a dispatch.
pub const TOKENS: u32 = 8;

/// The kernel; units are rows. The shader's constant `X_LENGTH` is 8 padded columns / 4.
pub static MATMUL_ROWS: Kernel = Kernel {
    name: "matmul_rows",
    source: include_str!("matmul_rows.wgsl"),
    uses: &[&ROWS],
    sockets: &[FORMAT, XS, GATES],
    variants: &[
        Variant {
            name: "lanes4",
            parts: &[&SUBGROUP, &XS_SHARED, &F16X2_UNPACK],
            consts: &[("WORKGROUP_SIZE", 4), ("ROWS", 8)],
            software: true,
        },
        Variant {
            name: "rows8",
            parts: &[&REDUCE_NONE, &XS_ALONE, &F16X2_UNPACK],
            consts: &[("WORKGROUP_SIZE", 8), ("ROWS", 8)],
            software: true,
        },
        Variant {
            name: "rows4",
            parts: &[&REDUCE_NONE, &XS_ALONE, &F16X2_UNPACK],
            consts: &[("WORKGROUP_SIZE", 8), ("ROWS", 4)],
            software: true,
        },
    ],
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |shader, rows, _| {
        wide_grid(rows.div_ceil(shader.constant("ROWS") * shader.constant("WORKGROUP_SIZE")))
    },
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
        /// What happens to a result: a [`Finish`] by its number.
        finish: u32,
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
    let finishes = [Finish::Store, Finish::Add, Finish::Glu, Finish::Gate];
    let finish = (finishes[p.finish as usize], call.has(&GELU));
    let end = call.words("rows")[0].min(p.token_start + TOKENS);
    for token in p.token_start..end {
        let results = matvec::products(call, &as_matvec, (token - p.token_start) as usize);
        let start = (token * p.y_stride + p.y_start) as usize;
        matvec::finish_as(call, start, &results, finish);
    }
}

/// Every format, each with half of the finishes and with one activation; fewer tokens than eight, and some that are not the first.
fn cases() -> Vec<Case> {
    let mut random = Random::new(9);
    let mut cases = Vec::new();
    for (number, format) in FORMATS.iter().copied().enumerate() {
        for (i, (finish, token_start)) in [
            (Finish::Store, 0),
            (Finish::Add, 8),
            (Finish::Glu, 0),
            (Finish::Gate, 16),
        ]
        .into_iter()
        .enumerate()
        {
            // Sockets are independent: each finish meets every other format.
            if (number + i) % 2 == 1 {
                continue;
            }
            for (rows, cols, some) in [(70, 576, 8), (133, 40, 3), (1, 32, 1)] {
                let store = finish == Finish::Store;
                let (tokens, textured) = (token_start + some, cols == 576);
                let (odd, one) = (rows % 2 == 1 && !store, textured && i < 2);
                if odd || !(format.in_full() || one) {
                    continue;
                }
                let cols = format.whole(cols);
                let mut case = matvec::case(
                    format,
                    (&INPUT_PLAIN, &FINISH_STORE),
                    (rows, cols, tokens),
                    &mut random,
                );
                let y_stride = padded(rows + 64);
                let part = if textured {
                    &format.textured
                } else {
                    &format.part
                };
                let xs = [&XS_UNIFORM, &XS_STORAGE][usize::from(token_start == 8)];
                let gates: &'static Part = [&SILU, &GELU][number / 2 % 2];
                case.parts = vec![part, xs, gates];
                case.consts = vec![("X_LENGTH", TOKENS * padded(cols) / 4)];
                case.name = format!(
                    "{rows}×{cols} {finish:?} {} {some} from {token_start}",
                    gates.name
                );
                case.params = bytes_of_params(&Params {
                    rows,
                    cols,
                    y_start: 64,
                    y_stride,
                    token_start,
                    finish: finish as u32,
                });
                case.buffers[0].1 = activations(&mut random, TOKENS, cols);
                case.buffers[1].1 = activations(&mut random, tokens, rows + 64);
                cases.push(case);
            }
        }
    }
    cases
}
