//! Embedding: looks up the row of each token. Pieces of a split embedding write only the rows they have.

use crate::{
    Call, Case, CaseWeights, FORMATS, Kernel, Variant,
    call::{groups, state},
    formats::FORMAT,
    kernel::lane_grid,
    padded,
    parts::{HALVES_BITS, HALVES_UNPACK, LOOKUP, OF_POSITIONS, OF_TOKENS, STATE},
    random::Random,
};

/// The kernel; units are groups of a row.
pub static EMBED: Kernel = Kernel {
    name: "embed",
    source: include_str!("embed.wgsl"),
    uses: &[&STATE],
    sockets: &[FORMAT, LOOKUP],
    variants: &[
        Variant {
            name: "lanes8",
            parts: &[&HALVES_UNPACK],
            consts: &[("LANES", 8)],
            software: true,
        },
        Variant {
            name: "lanes64",
            parts: &[&HALVES_BITS],
            consts: &[("LANES", 64)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["x"],
    grid: lane_grid,
    twin,
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
    }
}

/// `x` (tokens, padded cols) from `tokens` (tokens).
fn twin(call: &mut Call) {
    let p: Params = call.params();
    let (position, count) = (call.words("state")[0], call.words("state")[1]);
    let positions = call.has(&OF_POSITIONS);
    let tokens = if positions {
        (position..position + count).collect()
    } else {
        call.words("tokens").clone()
    };
    let weights = std::mem::take(&mut call.weights);
    let stride = padded(p.cols) as usize;
    let x = call.floats_mut("x");
    for (i, &token) in tokens.iter().take(count as usize).enumerate() {
        let row = token.wrapping_sub(p.row_start);
        if row < p.rows {
            let weights = &weights[row as usize * stride..][..stride];
            x[i * stride..][..stride]
                .iter_mut()
                .zip(weights)
                .for_each(|(x, w)| *x = w * p.scale + if positions { *x } else { 0.0 });
        }
    }
}

/// Every format; whole and split embeddings; more room than tokens.
fn cases() -> Vec<Case> {
    let mut random = Random::new(1);
    let mut cases = Vec::new();
    for format in FORMATS {
        for (cols, row_start, count) in [(format.block * 40, 0, 3), (576, 0, 1), (64, 7, 5)] {
            let (cols, textured) = (format.whole(cols), cols == 64);
            let weights = CaseWeights::random(format, 20, cols, &mut random);
            let tokens = [7, 26, 0, 19, 8].to_vec();
            cases.push(Case {
                name: format!("{} {cols} from {row_start}", format.name),
                parts: vec![
                    if textured {
                        &format.textured
                    } else {
                        &format.part
                    },
                    if count == 1 {
                        &OF_POSITIONS
                    } else {
                        &OF_TOKENS
                    },
                ],
                consts: vec![],
                params: bytemuck::bytes_of(&Params {
                    cols,
                    rows: 20,
                    row_start,
                    scale: 1.5,
                })
                .to_vec(),
                units: groups(cols),
                tokens: 5,
                buffers: vec![
                    ("tokens", tokens),
                    ("x", vec![0; 5 * padded(cols) as usize]),
                    ("state", state(3, count)),
                ],
                weights: Some(weights),
            });
        }
    }
    cases
}
