//! Op of linear layers whose heads have a matrix each.

use super::{Columns, MatrixId};

/// y = W\[head\] x of every head, and behind it what lies behind x.
#[derive(Debug, Clone)]
pub struct HeadLinear {
    /// The heads, `x_head` columns from one to the next.
    pub x: Columns,
    /// See `x`.
    pub x_head: u32,
    /// How many heads there are.
    pub heads: u32,
    /// Rows of the matrices of all heads, `head_rows` from one head's to the next's, (heads · head_rows, cols).
    pub matrix: MatrixId,
    /// See `matrix`.
    pub head_rows: u32,
    /// The first row of the first head's matrix.
    pub first_row: u32,
    /// Rows of a head's matrix.
    pub rows: u32,
    /// Columns of a head's matrix.
    pub cols: u32,
    /// Whether it is multiplied transposed, so that rows meet x and results are columns.
    pub transposed: bool,
    /// Columns behind those of x that the matrix meets, which go behind the results as they are.
    pub kept: u32,
}

impl HeadLinear {
    /// Results of a head.
    pub fn results(&self) -> u32 {
        if self.transposed {
            self.cols
        } else {
            self.rows
        }
    }

    /// Columns of y of a head.
    pub fn y_head(&self) -> u32 {
        self.results() + self.kept
    }
}
