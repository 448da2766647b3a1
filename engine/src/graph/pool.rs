//! Op that makes one row of a sequence's.

use super::{StateId, Tensor};

/// Row that is made of a sequence's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PooledRow {
    /// Their mean.
    Mean,
    /// The first.
    First,
    /// The last.
    Last,
}

/// A row for each sequence, of those that it has in this pass and had in earlier ones.
#[derive(Debug, Clone)]
pub struct Pool {
    /// The input, (rows, cols).
    pub x: Tensor,
    /// The row that is made.
    pub row: PooledRow,
    /// State that later passes go on from, (sequences, cols).
    pub state: StateId,
}
