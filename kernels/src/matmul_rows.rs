//! Matrix times matrix for up to eight tokens: small batches everywhere, and prompts on adapters that run on the CPU, where
//! workgroup memory and storage are slow to read.

use crate::{
    Call, Case, CaseWeights, FORMATS, Format, Kernel, Variant, bytes_of_params,
    call::{activations, consecutive},
    formats::FORMAT,
    matvec, moe_sort, padded,
    parts::{
        Act, Epilogue, F16X2_BITS, F16X2_UNPACK, Input, REDUCE_NONE, ROWS, SUBGROUP, Tokens,
        XS_ALONE, XS_SHARED, XS_STAGED, Xs,
    },
    random::Random,
    tolerance,
};

/// Tokens of a dispatch at most: as many as its constant `TOKENS` says, four or eight.
pub const TOKENS: u32 = 8;

/// The kernel; units are rows, of an expert where tokens are sorted by those. The shader's constant `X_LENGTH` is 8 padded
/// columns / 4.
pub static MATMUL_ROWS: Kernel = Kernel {
    name: "matmul_rows",
    source: include_str!("matmul_rows.wgsl"),
    uses: &[&ROWS],
    sockets: &[FORMAT, Xs::SOCKET, Act::SOCKET, Tokens::SOCKET],
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
    grid: |shader, rows, tokens| match Tokens::of(&shader.parts) {
        Some(Tokens::ByExpert) => {
            let [top_k, experts] = ["TOP_K", "EXPERTS"].map(|name| shader.constant(name));
            let [workgroups, ..] = matvec::grid(shader, rows, tokens);
            [workgroups, moe_sort::tiles_max(tokens, top_k, experts), 1]
        }
        _ => matvec::grid(shader, rows, tokens),
    },
    reference,
    tolerance: tolerance::linear,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Rows of this piece of the matrix, or of an expert, a multiple of 4.
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
        /// First row of this piece in the matrix of all experts; else 0.
        row_start: u32,
        /// Rows of this piece.
        piece_rows: u32,
        /// Pairs of token and expert that share a row of x: all of a token, or one.
        x_each: u32,
    }
}

/// `y` (tokens, y_stride) from `x` (8 tokens, padded cols), the tokens from `token_start` on.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    if Tokens::of(&call.parts) == Some(Tokens::ByExpert) {
        return by_expert(call, &p);
    }
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

/// `y` (tokens, top_k, y_stride) from `x` (tokens, padded cols) or (tokens, top_k, padded cols), by `tiles`.
fn by_expert(call: &mut Call, p: &Params) {
    let act = Act::of(&call.parts).expect("a part that activates gates");
    let epilogue = Epilogue::numbered(p.epilogue, act).expect("the number of an epilogue");
    let (x, stride) = (call.floats("x"), padded(p.cols) as usize);
    let (tiles, sorted) = (
        call.words("tiles").clone(),
        call.words("sorted_pairs").clone(),
    );
    let pairs = tiles.chunks_exact(3).flat_map(|tile| {
        let own = &sorted[tile[1] as usize..][..tile[2] as usize];
        own.iter().map(|&pair| (tile[0], pair))
    });
    for (expert, pair) in pairs {
        let first = expert * p.rows;
        // An expert's rows may lie in several pieces; those of the cases do not.
        if first < p.row_start || first + p.rows > p.row_start + p.piece_rows {
            continue;
        }
        let x = &x[(pair / p.x_each) as usize * stride..][..stride];
        let weights = &call.weights[(first - p.row_start) as usize * stride..];
        let rows = weights.chunks_exact(stride).take(p.rows as usize);
        let dot = |row: &[f32]| {
            let pairs = row.iter().zip(x);
            pairs.map(|(&w, &x)| f64::from(w) * f64::from(x)).sum()
        };
        let results: Vec<f64> = rows.map(dot).collect();
        let start = (pair * p.y_stride + p.y_start) as usize;
        matvec::write_results_as(call, start, &results, epilogue);
    }
}

fn expert_case(
    format: &'static Format,
    epilogue: Epilogue,
    (rows, cols, tokens, row_start): (u32, u32, u32, u32),
    (experts, top_k): (u32, u32),
    random: &mut Random,
) -> Case {
    let (each, results) = match epilogue {
        Epilogue::Glu(_) => (top_k, rows / 2),
        _ => (1, rows),
    };
    let y_start = if epilogue == Epilogue::Add { 6 } else { 0 };
    let y_stride = padded(y_start + results);
    let piece_rows = rows * experts - row_start;
    let ids: Vec<u32> = (0..tokens * top_k)
        .map(|pair| (pair * 37 + pair / 5) % experts)
        .collect();
    let (mut tiles, sorted) = moe_sort::sort(&ids, experts);
    tiles.resize(3 * moe_sort::tiles_max(tokens, top_k, experts) as usize, 0);
    let act = epilogue.act().unwrap_or(Act::Silu);
    Case {
        name: format!("{top_k} of {experts} {rows}×{cols} {epilogue:?} {tokens} from {row_start}"),
        parts: vec![
            &format.part,
            Xs::All.part(),
            act.part(),
            Tokens::ByExpert.part(),
        ],
        consts: vec![("TOKENS", TOKENS), ("TOP_K", top_k), ("EXPERTS", experts)],
        params: bytes_of_params(&Params {
            rows,
            cols,
            y_start,
            y_stride,
            token_start: 0,
            epilogue: epilogue.number(),
            row_start,
            piece_rows,
            x_each: each,
        }),
        units: rows,
        tokens,
        buffers: vec![
            ("x", activations(random, tokens * top_k / each, cols)),
            ("y", activations(random, tokens * top_k, y_stride)),
            ("tiles", tiles),
            ("sorted_pairs", sorted),
            ("rows", consecutive(3, tokens)),
        ],
        weights: Some(CaseWeights::random(format, piece_rows, cols, random)),
    }
}

/// Experts' cases: formats of each kind of planes; gated, stored and added; a piece of a split matrix; many experts.
fn expert_cases(random: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    let of = |name: &str| FORMATS.iter().copied().find(|format| format.name == name);
    for name in ["f32", "q4_0", "q4_k", "q6_k", "mxfp4"] {
        let format = of(name).expect("a format");
        let cols = format.block.max(96);
        let glu = Epilogue::Glu([Act::Gelu, Act::Silu][usize::from(name == "q4_k")]);
        cases.push(expert_case(format, glu, (44, cols, 21, 0), (5, 2), random));
        let store = Epilogue::Store;
        cases.push(expert_case(
            format,
            store,
            (12, cols, 9, 24),
            (5, 2),
            random,
        ));
    }
    let f32 = of("f32").expect("a format");
    cases.push(expert_case(
        f32,
        Epilogue::Add,
        (8, 64, 3, 0),
        (128, 8),
        random,
    ));
    cases
}

/// Every format, each with half of the epilogues and with one activation; fewer tokens than eight, and some that are not the first.
fn cases() -> Vec<Case> {
    let mut random = Random::new(9);
    let mut cases = expert_cases(&mut random);
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
                case.parts = vec![&format.part, xs.part(), act.part(), Tokens::InOrder.part()];
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
                    piece_rows: rows,
                    ..Params::default()
                });
                case.buffers[0].1 = activations(&mut random, TOKENS, cols);
                case.buffers[1].1 = activations(&mut random, tokens, rows + 64);
                cases.push(case);
            }
        }
    }
    cases
}
