//! Matrix times vector: every linear layer while decoding. With the input part `norm` the RMSNorm before the layer
//! is computed on the way, with the epilogue `glu` the gated MLP's product after it.

use crate::{
    Call, Case, CaseWeights, FORMATS, Format, Kernel, Shader, Variant,
    call::{activations, consecutive, words},
    formats::FORMAT,
    kernel::wide_grid,
    norm::rms_norm,
    padded,
    parts::{
        Act, Epilogue, F16X2_BITS, F16X2_UNPACK, GROUP_ALONE, GROUP_SHARED, GROUP_STAGED, Input,
        REDUCE_NONE, REDUCE_SUBGROUP, REDUCE_WORKGROUP, ROWS, SUBGROUP, X,
    },
    pointwise::{gelu, silu},
    random::Random,
    tolerance,
};

/// The kernel; units are rows.
pub static MATVEC: Kernel = Kernel {
    name: "matvec",
    source: include_str!("matvec.wgsl"),
    uses: &[&ROWS],
    sockets: &[FORMAT, Input::SOCKET, X::SOCKET, Epilogue::SOCKET],
    variants: &[
        Variant {
            name: "lanes4",
            parts: &[&SUBGROUP, &GROUP_SHARED, &F16X2_UNPACK],
            consts: &[("WORKGROUP_SIZE", 4), ("LANES_PER_ROW", 1), ("ROWS", 16)],
            software: true,
        },
        Variant {
            name: "rows8",
            parts: &[&REDUCE_NONE, &GROUP_ALONE, &F16X2_UNPACK],
            consts: &[("WORKGROUP_SIZE", 8), ("LANES_PER_ROW", 1), ("ROWS", 8)],
            software: true,
        },
        Variant {
            name: "rows4",
            parts: &[&REDUCE_NONE, &GROUP_ALONE, &F16X2_UNPACK],
            consts: &[("WORKGROUP_SIZE", 8), ("LANES_PER_ROW", 1), ("ROWS", 4)],
            software: true,
        },
        Variant {
            name: "staged128",
            parts: &[&REDUCE_SUBGROUP, &GROUP_STAGED, &F16X2_BITS],
            consts: &[
                ("WORKGROUP_SIZE", 128),
                ("LANES_PER_ROW", 128),
                ("ROWS", 8),
                ("WORKGROUP_BYTES", 20 << 10),
                ("X_LENGTH_MIN", 1024),
            ],
            software: false,
        },
        Variant {
            name: "staged64",
            parts: &[&REDUCE_SUBGROUP, &GROUP_STAGED, &F16X2_BITS],
            consts: &[
                ("WORKGROUP_SIZE", 64),
                ("LANES_PER_ROW", 64),
                ("ROWS", 8),
                ("X_LENGTH_MIN", 512),
            ],
            software: false,
        },
        Variant {
            name: "subgroup",
            parts: &[&REDUCE_SUBGROUP, &GROUP_ALONE, &F16X2_BITS],
            consts: &[("WORKGROUP_SIZE", 32), ("LANES_PER_ROW", 32), ("ROWS", 4)],
            software: false,
        },
        Variant {
            name: "workgroup",
            parts: &[&REDUCE_WORKGROUP, &GROUP_ALONE, &F16X2_BITS],
            consts: &[("WORKGROUP_SIZE", 32), ("LANES_PER_ROW", 32), ("ROWS", 4)],
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

/// `LANES_PER_ROW` lanes for `ROWS` rows; also those of `matvec_integer`.
pub(crate) fn grid(shader: &Shader, rows: u32, _: u32) -> [u32; 3] {
    let sets = shader.constant("WORKGROUP_SIZE") / shader.constant("LANES_PER_ROW");
    wide_grid(rows.div_ceil(sets * shader.constant("ROWS")))
}

crate::params! {
    /// Parameters, as the shader has them; also those of `matmul`.
    Params {
        /// Rows of this piece of the matrix.
        rows: u32,
        /// Columns: the width of x.
        cols: u32,
        /// Where in a row of y the results go.
        y_start: u32,
        /// RMSNorm's epsilon, for the input part `norm`.
        eps: f32,
    }
}

/// The activations of one token as the weights meet them, (padded cols).
fn input(call: &mut Call, p: &Params, token: usize) -> Vec<f64> {
    let (cols, stride) = (p.cols as usize, padded(p.cols) as usize);
    let x = call.floats("x")[token * stride..][..stride].to_vec();
    match Input::of(&call.parts).unwrap_or(Input::Plain) {
        Input::Plain => x.into_iter().map(f64::from).collect(),
        Input::Norm | Input::NormUniform => {
            let mut normed = rms_norm(&x[..cols], &call.floats("norm_weight"), p.eps);
            normed.resize(stride, 0.0);
            normed
        }
    }
}

/// Writes a token's results into its row of `y`, which starts at `start`.
pub(crate) fn write_results(call: &mut Call, start: usize, results: &[f64]) {
    let epilogue = Epilogue::of(&call.parts).expect("a part that stores results");
    write_results_as(call, start, results, epilogue);
}

/// Writes results from `start` on, by an epilogue that the caller names.
pub(crate) fn write_results_as(call: &mut Call, start: usize, results: &[f64], epilogue: Epilogue) {
    let activated = |act, v| match act {
        Act::Silu => silu(v),
        Act::Gelu => gelu(v),
    };
    let y = &mut call.floats_mut("y")[start..];
    if let Epilogue::Glu(act) = epilogue {
        let pairs = results.chunks_exact(2);
        pairs
            .zip(y)
            .for_each(|(pair, y)| *y = (activated(act, pair[0]) * pair[1]) as f32);
        return;
    }
    for (y, &v) in y.iter_mut().zip(results) {
        let old = f64::from(*y);
        *y = match epilogue {
            Epilogue::Add => old + v,
            Epilogue::Gate(act) => activated(act, old) * v,
            _ => v,
        } as f32;
    }
}

/// One token's products with every row, summed in f64.
pub(crate) fn products(call: &mut Call, p: &Params, token: usize) -> Vec<f64> {
    let x = input(call, p, token);
    let dot = |row: &[f32]| row.iter().zip(&x).map(|(&w, &x)| f64::from(w) * x).sum();
    call.weights.chunks_exact(x.len()).map(dot).collect()
}

/// `y` (rows) from the last token of `x` (tokens, padded cols).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let token = call.words("rows")[0] as usize - 1;
    let results = products(call, &p, token);
    write_results(call, p.y_start as usize, &results);
}

pub(crate) fn case(
    format: &'static Format,
    (input, epilogue): (Input, Epilogue),
    (rows, cols, tokens): (u32, u32, u32),
    random: &mut Random,
) -> Case {
    let y_start = 64;
    let x = match tokens {
        1 if rows == 1 => X::Single,
        1 => X::Uniform,
        _ => X::Storage,
    };
    let (input, epilogue) = (input.part(), epilogue.part());
    Case {
        name: format!(
            "{} {rows}×{cols} {} {} {tokens}",
            format.name, input.name, epilogue.name
        ),
        parts: vec![&format.part, input, x.part(), epilogue],
        consts: vec![("X_LENGTH", padded(cols) / 4)],
        params: bytemuck::bytes_of(&Params {
            rows,
            cols,
            y_start,
            eps: 1e-5,
        })
        .to_vec(),
        units: rows,
        tokens,
        buffers: vec![
            ("x", activations(random, tokens, cols)),
            ("y", activations(random, tokens, rows + y_start)),
            ("norm_weight", words(&random.floats(padded(cols) as usize))),
            ("rows", consecutive(3, tokens)),
        ],
        weights: Some(CaseWeights::random(format, rows, cols, random)),
    }
}

/// Every format, input and epilogue; rows that fill no workgroup; odd rows; real widths.
fn cases() -> Vec<Case> {
    let mut random = Random::new(3);
    let mut cases = Vec::new();
    for (number, format) in FORMATS.iter().copied().enumerate() {
        let mut push = |parts, (rows, cols, tokens)| {
            let shape = (rows, format.whole(cols), tokens);
            cases.push(case(format, parts, shape, &mut random));
        };
        // Sockets are independent: common formats meet common epilogues, each format one, and each input each epilogue.
        for (i, &epilogue) in Epilogue::ALL.iter().enumerate() {
            if (format.in_full() && i < 4) || i == number % Epilogue::ALL.len() {
                let input = Input::ALL[(number + i) % Input::ALL.len()];
                push((input, epilogue), (70, 576, 1));
            }
        }
        push((Input::Norm, Epilogue::Store), (301, 576, 1));
        if format.in_full() {
            push((Input::Plain, Epilogue::Store), (1, 32, 1));
            push((Input::Plain, Epilogue::Store), (9, 64, 2));
            push((Input::Norm, Epilogue::Add), (133, 1536, 4));
        }
        if format.name == "q4_1" {
            push((Input::Norm, Epilogue::Store), (9, 28_672, 2));
            push((Input::Norm, Epilogue::Add), (9, 4_704, 2));
        }
        if format.block == 1 {
            push((Input::Norm, Epilogue::Store), (41, 40, 2));
        }
    }
    cases
}
