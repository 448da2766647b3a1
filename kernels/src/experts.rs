//! Linear layers of a mixture of experts: each token meets the weights of the experts that [`crate::moe_route`] chose for it,
//! without the CPU knowing which.

use crate::{
    Call, Case, CaseWeights, FORMATS, Format, Kernel, Variant, bytes_of_params,
    call::activations,
    formats::FORMAT,
    matvec::write_results,
    padded,
    parts::{
        Act, Epilogue, F16X2_BITS, F16X2_UNPACK, REDUCE_NONE, REDUCE_SUBGROUP, REDUCE_WORKGROUP,
    },
    random::Random,
    tolerance,
};

/// The kernel; units are rows of an expert and experts of a token: see [`units`].
pub static EXPERTS: Kernel = Kernel {
    name: "experts",
    source: include_str!("experts.wgsl"),
    uses: &[],
    sockets: &[FORMAT, Epilogue::SOCKET],
    variants: &[
        Variant {
            name: "rows4",
            parts: &[&REDUCE_NONE, &F16X2_UNPACK],
            consts: &[("WORKGROUP_SIZE", 8), ("LANES_PER_ROW", 1)],
            software: true,
        },
        Variant {
            name: "subgroup",
            parts: &[&REDUCE_SUBGROUP, &F16X2_BITS],
            consts: &[("WORKGROUP_SIZE", 32), ("LANES_PER_ROW", 32)],
            software: false,
        },
        Variant {
            name: "workgroup",
            parts: &[&REDUCE_WORKGROUP, &F16X2_BITS],
            consts: &[("WORKGROUP_SIZE", 32), ("LANES_PER_ROW", 32)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |shader, units, tokens| {
        let (rows, top_k) = (units / MAX_TOP_K, units % MAX_TOP_K);
        let sets = shader.constant("WORKGROUP_SIZE") / shader.constant("LANES_PER_ROW");
        [rows.div_ceil(sets * 4), tokens * top_k, 1]
    },
    reference,
    tolerance: tolerance::linear,
    cases: || Box::new(cases().into_iter()),
};

/// Experts that a token may use are fewer.
pub const MAX_TOP_K: u32 = 64;

/// The units of a dispatch: rows of an expert, and experts that a token uses.
pub const fn units(rows: u32, top_k: u32) -> u32 {
    rows * MAX_TOP_K + top_k
}

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Rows of an expert, a multiple of 4.
        rows: u32,
        /// Columns: the width of x.
        cols: u32,
        /// First row of this piece in the matrix of all experts.
        row_start: u32,
        /// Rows of this piece.
        piece_rows: u32,
        /// Experts that a token uses.
        top_k: u32,
        /// 1 where each pair of token and expert has an x of its own, 0 where a token has one.
        x_each: u32,
        /// Where in a row of y the result starts.
        y_start: u32,
        /// From the result of a pair to the next's, in f32.
        y_stride: u32,
    }
}

/// `y` (tokens, top_k, y_stride) from `x` (tokens, padded cols) or (tokens, top_k, padded cols), and `expert_ids` (tokens, top_k).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let pairs = (call.tokens * p.top_k) as usize;
    let (x, expert_ids) = (call.floats("x"), call.words("expert_ids").clone());
    for (pair, &expert) in (0..).zip(&expert_ids[..pairs]) {
        if let Some(results) = products(&call.weights, &x, &p, (pair, expert)) {
            write_results(call, (pair * p.y_stride + p.y_start) as usize, &results);
        }
    }
}

/// Products of an expert's rows with what a pair of token and expert has in `x`; none where another piece has the rows.
pub(crate) fn products(
    weights: &[f32],
    x: &[f32],
    p: &Params,
    (pair, expert): (u32, u32),
) -> Option<Vec<f64>> {
    let stride = padded(p.cols) as usize;
    let x_row = if p.x_each == 1 { pair } else { pair / p.top_k };
    let x = &x[x_row as usize * stride..][..stride];
    let first = expert * p.rows;
    // An expert's rows may lie in several pieces; those of the cases do not.
    if first < p.row_start || first + p.rows > p.row_start + p.piece_rows {
        return None;
    }
    let weights = &weights[(first - p.row_start) as usize * stride..];
    let rows = weights.chunks_exact(stride).take(p.rows as usize);
    let dot = |row: &[f32]| {
        let pairs = row.iter().zip(x);
        pairs.map(|(&w, &x)| f64::from(w) * f64::from(x)).sum()
    };
    Some(rows.map(dot).collect())
}

pub(crate) fn case(
    format: &'static Format,
    epilogue: Epilogue,
    (rows, cols, tokens, x_each, row_start): (u32, u32, u32, u32, u32),
    (experts, top_k): (u32, u32),
    random: &mut Random,
) -> Case {
    let results = match epilogue {
        Epilogue::Glu(_) => rows / 2,
        _ => rows,
    };
    // Only what adds comes beside something else.
    let y_start = if epilogue == Epilogue::Add { 6 } else { 0 };
    let epilogue = epilogue.part();
    let y_stride = padded(y_start + results);
    let piece_rows = rows * experts - row_start;
    let expert_ids = (0..tokens * top_k)
        .map(|pair| (pair * 37 + 1) % experts)
        .collect();
    let x_rows = if x_each == 1 { tokens * top_k } else { tokens };
    Case {
        name: format!(
            "{top_k} of {experts} {rows}×{cols} {} {tokens} from {row_start}",
            epilogue.name
        ),
        parts: vec![&format.part, epilogue],
        consts: vec![],
        params: bytes_of_params(&Params {
            rows,
            cols,
            row_start,
            piece_rows,
            top_k,
            x_each,
            y_start,
            y_stride,
        }),
        units: units(rows, top_k),
        tokens,
        buffers: vec![
            ("x", activations(random, x_rows, cols)),
            ("y", activations(random, tokens * top_k, y_stride)),
            ("expert_ids", expert_ids),
        ],
        weights: Some(CaseWeights::random(format, piece_rows, cols, random)),
    }
}

/// Experts, and how many of them a token uses, where neither matters.
const FEW: (u32, u32) = (5, 2);

/// Every format; gated, stored and added; a piece of a split matrix; as many experts as models have.
fn cases() -> Vec<Case> {
    let mut random = Random::new(13);
    let mut cases = Vec::new();
    for format in FORMATS {
        let cols = format.block.max(64);
        cases.push(case(
            format,
            Epilogue::Store,
            (12, cols, 3, 1, 24),
            FEW,
            &mut random,
        ));
        let act = if format.block == 1 {
            Act::Gelu
        } else {
            Act::Silu
        };
        let glu = Epilogue::Glu(act);
        let shape = (48, 2 * cols, 2, 0, 0);
        cases.push(case(format, glu, shape, FEW, &mut random));
    }
    let added = (8, 64, 3, 1, 0);
    cases.push(case(FORMATS[0], Epilogue::Add, added, FEW, &mut random));
    let many = (8, 64, 3, 0, 0);
    cases.push(case(
        FORMATS[0],
        Epilogue::Store,
        many,
        (128, 8),
        &mut random,
    ));
    cases
}
