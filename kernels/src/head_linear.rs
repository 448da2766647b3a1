//! Linear layers of heads, each of which has a matrix of its own: where multi-head latent attention is absorbed (DeepSeek-V2,
//! DeepSeek-AI 2024, section 2.1), queries on their way to the latent space and what attention finds on its way back.

use crate::{
    Call, Case, CaseWeights, FORMATS, Format, Kernel, Variant, bytes_of_params,
    call::activations,
    formats::FORMAT,
    padded,
    parts::{F16X2_BITS, F16X2_UNPACK, Orientation},
    random::Random,
    tolerance,
};

/// The kernel; units are lanes of a head, and heads: see [`units`].
pub static HEAD_LINEAR: Kernel = Kernel {
    name: "head_linear",
    source: include_str!("head_linear.wgsl"),
    uses: &[],
    sockets: &[FORMAT, Orientation::SOCKET],
    variants: &[
        Variant::new("lanes8", &[&F16X2_UNPACK], &[("WORKGROUP_SIZE", 8)], true),
        Variant::new("lanes64", &[&F16X2_BITS], &[("WORKGROUP_SIZE", 64)], false),
    ],
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |shader, units, tokens| {
        let (results, heads) = (units / HEADS_MAX, units % HEADS_MAX);
        let per_lane = match Orientation::of(&shader.parts) {
            Some(Orientation::Transposed) => 32,
            _ => 4,
        };
        let lanes = results.div_ceil(per_lane);
        let workgroups = lanes.div_ceil(shader.constant("WORKGROUP_SIZE"));
        [workgroups, heads, tokens]
    },
    reference,
    tolerance: tolerance::linear,
    cases: || Box::new(cases().into_iter()),
};

/// Heads are fewer.
pub const HEADS_MAX: u32 = 1024;

/// The units of a dispatch: results of a head, and heads.
pub const fn units(results: u32, heads: u32) -> u32 {
    results * HEADS_MAX + heads
}

crate::params! {
    /// Parameters, as the shader has them. All but `cols` and strides, which are padded, are multiples of 4.
    Params {
        /// Rows of a head's matrix.
        rows: u32,
        /// Columns of a head's matrix; a multiple of 4.
        cols: u32,
        /// From a head's first row in the matrix of all heads to the next's.
        head_rows: u32,
        /// The first row of the first head's matrix.
        first_row: u32,
        /// Values behind a head's inputs that go behind its results as they are.
        kept: u32,
        /// Where in a row of x the first head begins, in f32.
        x_start: u32,
        /// From a head of x to the next, in f32.
        x_head: u32,
        /// From a token's row of x to the next, in f32.
        x_stride: u32,
        /// From a head of y to the next, in f32.
        y_head: u32,
        /// From a token's row of y to the next, in f32.
        y_stride: u32,
    }
}

/// `y` (tokens, y_stride) from `x` (tokens, x_stride), head by head.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let transposed = Orientation::of(&call.parts) == Some(Orientation::Transposed);
    let (rows, cols, kept) = (p.rows as usize, p.cols as usize, p.kept as usize);
    let (inputs, results) = if transposed {
        (rows, cols)
    } else {
        (cols, rows)
    };
    let x = call.floats("x");
    for (token, head) in heads_of(call) {
        let first = (head * p.head_rows + p.first_row) as usize;
        let weight = |row: usize, col: usize| {
            let stride = padded(p.cols) as usize;
            f64::from(call.weights[(first + row) * stride + col])
        };
        let own = &x[(token * p.x_stride + p.x_start + head * p.x_head) as usize..];
        let result = |i: usize| -> f32 {
            let product = |(j, &x): (usize, &f32)| {
                let w = if transposed {
                    weight(j, i)
                } else {
                    weight(i, j)
                };
                w * f64::from(x)
            };
            own[..inputs].iter().enumerate().map(product).sum::<f64>() as f32
        };
        let mut made: Vec<f32> = (0..results).map(result).collect();
        made.extend_from_slice(&own[inputs..inputs + kept]);
        let y = &mut call.floats_mut("y")[(token * p.y_stride + head * p.y_head) as usize..];
        y[..made.len()].copy_from_slice(&made);
    }
}

/// Each token with each head.
fn heads_of(call: &Call) -> Vec<(u32, u32)> {
    let heads = call.units % HEADS_MAX;
    let of = |token| (0..heads).map(move |head| (token, head));
    (0..call.tokens).flat_map(of).collect()
}

/// Sizes of a case: heads, rows and columns of a head's matrix, and how many values are kept.
type Sizes = [u32; 4];

fn case(
    format: &'static Format,
    orientation: Orientation,
    [heads, rows, cols, kept]: Sizes,
    tokens: u32,
    random: &mut Random,
) -> Case {
    let (inputs, results) = match orientation {
        Orientation::Plain => (cols, rows),
        Orientation::Transposed => (rows, cols),
    };
    // Something lies before the heads of x, between the matrices of heads where they are transposed, and behind heads of y.
    let (x_start, between) = match orientation {
        Orientation::Plain => (0, 0),
        Orientation::Transposed => (8, 4),
    };
    let (x_head, y_head) = (inputs + kept, results + kept + between);
    let (head_rows, first_row) = (rows + 2 * between, between);
    let (x_width, y_width) = (x_start + heads * x_head, heads * y_head);
    let all_rows = heads * head_rows;
    Case {
        name: format!("{heads} heads {rows}×{cols}, {kept} kept, {tokens} tokens"),
        parts: vec![&format.part, orientation.part()],
        consts: vec![],
        params: bytes_of_params(&Params {
            rows,
            cols,
            head_rows,
            first_row,
            kept,
            x_start,
            x_head,
            x_stride: padded(x_width),
            y_head,
            y_stride: padded(y_width),
        }),
        units: units(results, heads),
        tokens,
        buffers: vec![
            ("x", activations(random, tokens, x_width)),
            ("y", activations(random, tokens, y_width)),
        ],
        weights: Some(CaseWeights::random(format, all_rows, cols, random)),
    }
}

/// Every format, both ways round where it is in full; sizes that are no multiple of a group; the sizes of models.
fn cases() -> Vec<Case> {
    use Orientation::{Plain, Transposed};
    let mut random = Random::new(31);
    let mut cases = Vec::new();
    for (number, format) in FORMATS.iter().copied().enumerate() {
        let own = Orientation::ALL[number % 2];
        let both = Orientation::ALL.iter().copied();
        for orientation in both.filter(|&one| format.in_full() || one == own) {
            let sizes = [3, 12, format.whole(40), 8];
            cases.push(case(format, orientation, sizes, 3, &mut random));
            let none_kept = [2, 20, format.whole(64), 0];
            cases.push(case(format, orientation, none_kept, 1, &mut random));
        }
    }
    let f16 = FORMATS[1];
    for (orientation, sizes) in [
        (Plain, [4, 512, 128, 64]),
        (Plain, [4, 128, 512, 0]),
        (Transposed, [4, 128, 512, 64]),
    ] {
        cases.push(case(f16, orientation, sizes, 2, &mut random));
    }
    cases
}
