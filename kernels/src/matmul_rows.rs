//! Matrix times matrix for up to eight tokens: small batches everywhere, and prompts on adapters that run on the CPU, where
//! workgroup memory and storage are slow to read.

use crate::{
    Call, Case, FORMATS, Kernel, Variant, bytes_of_params,
    call::{activations, consecutive},
    experts,
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
        /// 1 where each pair of token and expert has an x of its own, 0 where a token has one.
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
    let as_experts = experts::Params {
        rows: p.rows,
        cols: p.cols,
        row_start: p.row_start,
        piece_rows: p.piece_rows,
        top_k: call.constant("TOP_K"),
        x_each: p.x_each,
        y_start: p.y_start,
        y_stride: p.y_stride,
    };
    let (x, tiles) = (call.floats("x"), call.words("tiles").clone());
    let sorted = call.words("sorted_pairs").clone();
    for tile in tiles.chunks_exact(3) {
        for &pair in &sorted[tile[1] as usize..][..tile[2] as usize] {
            let at = (pair, tile[0]);
            if let Some(results) = experts::products(&call.weights, &x, &as_experts, at) {
                let start = (pair * p.y_stride + p.y_start) as usize;
                matvec::write_results_as(call, start, &results, epilogue);
            }
        }
    }
}

/// A case of `experts` as this kernel has it.
fn expert_case(case: Case, [n_experts, top_k]: [u32; 2]) -> Case {
    let p: experts::Params = bytemuck::pod_read_unaligned(&case.params);
    let epilogue = Epilogue::of(&case.parts).expect("a part that stores results");
    let act = epilogue.act().unwrap_or(Act::Silu).part();
    let mut buffers = case.buffers;
    let ids = buffers.iter().position(|(name, _)| *name == "expert_ids");
    let (_, ids) = buffers.remove(ids.expect("experts of each token"));
    let (mut tiles, sorted) = moe_sort::sort(&ids, n_experts);
    let room = moe_sort::tiles_max(case.tokens, top_k, n_experts);
    tiles.resize(3 * room as usize, 0);
    buffers.extend([("tiles", tiles), ("sorted_pairs", sorted)]);
    buffers.push(("rows", consecutive(3, case.tokens)));
    Case {
        parts: vec![case.parts[0], Xs::All.part(), act, Tokens::ByExpert.part()],
        consts: vec![("TOKENS", TOKENS), ("TOP_K", top_k), ("EXPERTS", n_experts)],
        params: bytes_of_params(&Params {
            rows: p.rows,
            cols: p.cols,
            y_start: p.y_start,
            y_stride: p.y_stride,
            token_start: 0,
            epilogue: epilogue.number(),
            row_start: p.row_start,
            piece_rows: p.piece_rows,
            x_each: p.x_each,
        }),
        units: p.rows,
        buffers,
        ..case
    }
}

/// Experts' cases: formats of each kind of planes; gated, stored and added; a piece of a split matrix; many experts.
fn expert_cases(random: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut push = |name, epilogue, shape, experts @ (n_experts, top_k)| {
        let found = FORMATS.iter().copied().find(|format| format.name == name);
        let format = found.expect("a format");
        let case = experts::case(format, epilogue, shape, experts, random);
        cases.push(expert_case(case, [n_experts, top_k]));
    };
    for (name, cols) in [
        ("f32", 96),
        ("q4_0", 96),
        ("q4_k", 256),
        ("q6_k", 256),
        ("mxfp4", 96),
    ] {
        let glu = Epilogue::Glu([Act::Gelu, Act::Silu][usize::from(name == "q4_k")]);
        push(name, glu, (44, cols, 21, 0, 0), (5, 2));
        push(name, Epilogue::Store, (12, cols, 9, 1, 24), (5, 2));
    }
    push("f32", Epilogue::Add, (8, 64, 3, 1, 0), (128, 8));
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
