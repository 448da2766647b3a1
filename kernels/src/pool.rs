//! Pooling: one row for a sequence in the place of one for each of its tokens (Sentence-BERT, Reimers & Gurevych 2019,
//! section 3).

use crate::{
    Call, Case, Kernel, bytes_of_params,
    call::{ROWS_HEADER, activations, consecutive, interleaved, rows, words},
    kernel::{LANES_64, lane_grid},
    padded,
    parts::{NEXT_ROW, Pooling},
    random::Random,
    tolerance,
};

/// The kernel; units are columns, and in the place of tokens it has sequences.
pub static POOL: Kernel = Kernel {
    name: "pool",
    source: include_str!("pool.wgsl"),
    uses: &[&NEXT_ROW],
    sockets: &[Pooling::SOCKET],
    variants: &LANES_64,
    params: Params::FIELDS,
    outputs: &["y", "pooled"],
    grid: lane_grid,
    reference,
    tolerance: tolerance::f32,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Columns.
        cols: u32,
        /// From a row's x to the next's, in f32.
        x_stride: u32,
        /// From a sequence's y to the next's, in f32.
        y_stride: u32,
    }
}

/// `y` (sequences, y_stride) from `x` (tokens, x_stride). `pooled` (sequences, cols) has the sum, the first row or the last
/// after earlier passes, and is brought up to date; a row at position 0 begins it. Sequences without a row stay as they are.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let (cols, rows) = (p.cols as usize, call.rows());
    let x = call.floats("x");
    let pooling = Pooling::of(&call.parts).expect("a way of pooling");
    for sequence in 0..call.tokens {
        let own = |(_, row): &(usize, &crate::call::Row)| row.sequence == sequence;
        let own: Vec<_> = rows.iter().enumerate().filter(own).collect();
        let (Some(&(_, first)), Some(&(_, last))) = (own.first(), own.last()) else {
            continue;
        };
        for col in 0..cols {
            let place = sequence as usize * cols + col;
            let before = f64::from(call.floats_mut("pooled")[place]);
            let mut sum = if first.position == 0 { 0.0 } else { before };
            for &(index, row) in &own {
                let value = f64::from(x[index * p.x_stride as usize + col]);
                sum = match pooling {
                    Pooling::Mean => sum + value,
                    Pooling::First if row.position > 0 => sum,
                    Pooling::First | Pooling::Last => value,
                };
            }
            call.floats_mut("pooled")[place] = sum as f32;
            let result = match pooling {
                Pooling::Mean => sum / f64::from(last.position + 1),
                Pooling::First | Pooling::Last => sum,
            };
            call.floats_mut("y")[sequence as usize * p.y_stride as usize + col] = result as f32;
        }
    }
}

/// All ways; odd and real widths, one sequence and several in turns, some without rows, a sequence that goes on from an
/// earlier pass beside one that begins, rows beyond the count.
fn cases() -> Vec<Case> {
    let mut random = Random::new(33);
    let mut cases = Vec::new();
    let apart: Vec<_> = (0..9)
        .map(|i| if i < 4 { (i, i, 2) } else { (i, i + 3, 5) })
        .collect();
    for part in Pooling::SOCKET.parts {
        for (cols, sequences, rows) in [
            (1, 1, consecutive(0, 1)),
            (40, 1, consecutive(0, 9)),
            (40, 1, consecutive(70, 5)),
            (7, 3, interleaved(1, 9)),
            (64, 7, rows(&apart)),
            (384, 2, interleaved(0, 40)),
            (1024, 1, consecutive(0, 300)),
        ] {
            let (count, position) = (rows[0], rows[ROWS_HEADER + 1]);
            cases.push(Case {
                name: format!("{cols} of {count} rows of {sequences} sequences from {position}"),
                parts: vec![part],
                consts: vec![],
                params: bytes_of_params(&Params {
                    cols,
                    x_stride: padded(cols),
                    y_stride: padded(cols),
                }),
                units: cols,
                tokens: sequences,
                buffers: vec![
                    ("x", activations(&mut random, count + 2, cols)),
                    ("y", activations(&mut random, sequences, cols)),
                    ("pooled", words(&random.floats((sequences * cols) as usize))),
                    ("rows", rows),
                ],
                weights: None,
            });
        }
    }
    cases
}
