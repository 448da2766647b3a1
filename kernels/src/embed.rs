//! Embedding: looks up the row of each token. Pieces of a split embedding write only the rows they have.

use crate::{
    Call, Case, CaseWeights, FORMATS, Kernel, Variant,
    call::{activations, groups, rows},
    formats::FORMAT,
    kernel::lane_grid,
    padded,
    parts::{F16X2_BITS, F16X2_UNPACK, Lookup, ROWS},
    random::Random,
    tolerance,
};

/// The kernel; units are groups of a row.
pub static EMBED: Kernel = Kernel {
    name: "embed",
    source: include_str!("embed.wgsl"),
    uses: &[&ROWS],
    sockets: &[FORMAT, Lookup::SOCKET],
    variants: &[
        Variant {
            name: "lanes8",
            parts: &[&F16X2_UNPACK],
            consts: &[("WORKGROUP_SIZE", 8)],
            software: true,
        },
        Variant {
            name: "lanes64",
            parts: &[&F16X2_BITS],
            consts: &[("WORKGROUP_SIZE", 64)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["x"],
    grid: lane_grid,
    reference,
    tolerance: tolerance::f32,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Width of a row.
        cols: u32,
        /// Rows of this piece.
        rows: u32,
        /// First row of this piece in the whole.
        row_start: u32,
        /// Factor on every value.
        scale: f32,
        /// From a token's row of x to the next, in f32.
        x_stride: u32,
    }
}

/// `x` (tokens, x_stride) from the tokens of the rows, or with the rows of their positions added.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let positions = Lookup::of(&call.parts) == Some(Lookup::Positions);
    let rows = call.rows();
    let weights = std::mem::take(&mut call.weights);
    let stride = padded(p.cols) as usize;
    let x_stride = p.x_stride as usize;
    let x = call.floats_mut("x");
    for (i, row) in rows.iter().enumerate() {
        let number = if positions { row.position } else { row.token };
        let row = number.wrapping_sub(p.row_start);
        if row < p.rows {
            let weights = &weights[row as usize * stride..][..stride];
            x[i * x_stride..][..stride]
                .iter_mut()
                .zip(weights)
                .for_each(|(x, w)| *x = w * p.scale + if positions { *x } else { 0.0 });
        }
    }
}

/// Every format; whole and split embeddings; tokens and positions, of two sequences; more room than rows; rows of x that are
/// longer.
fn cases() -> Vec<Case> {
    let mut random = Random::new(1);
    let mut cases = Vec::new();
    for format in FORMATS {
        for (cols, row_start, count) in [(format.block * 40, 0, 3), (576, 0, 4), (64, 7, 5)] {
            let lookup = if cols == 576 {
                Lookup::Positions
            } else {
                Lookup::Tokens
            };
            let cols = format.whole(cols);
            let weights = CaseWeights::random(format, 20, cols, &mut random);
            let x_cols = if cols == 64 { 2 * cols } else { cols };
            let all = [(7, 12, 1), (26, 3, 0), (0, 13, 1), (19, 4, 0), (8, 5, 0)];
            cases.push(Case {
                name: format!("{} {cols} from {row_start}", format.name),
                parts: vec![&format.part, lookup.part()],
                consts: vec![],
                params: bytemuck::bytes_of(&Params {
                    cols,
                    rows: 20,
                    row_start,
                    scale: 1.5,
                    x_stride: padded(x_cols),
                })
                .to_vec(),
                units: groups(cols),
                tokens: 5,
                buffers: vec![
                    ("x", activations(&mut random, 5, x_cols)),
                    ("rows", rows(&all[..count])),
                ],
                weights: Some(weights),
            });
        }
    }
    cases
}
