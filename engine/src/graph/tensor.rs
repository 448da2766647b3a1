//! Tensors of a graph: what is declared of a value.

use std::ops::Range;

/// Index of a matrix in the model's layout.
pub type MatrixId = usize;
/// Index of a vector in the model's layout.
pub type VectorId = usize;

/// A value that an op makes or that a pass begins with: its number in [`Graph::tensors`](super::Graph::tensors).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tensor(pub usize);

/// How many rows a tensor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowCount {
    /// One for each row of the pass.
    PerRow,
    /// Always so many.
    Fixed(u32),
}

/// Type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DType {
    /// 32-bit floats.
    F32,
    /// 32-bit unsigned numbers.
    U32,
}

/// Declaration of a tensor by whoever writes the op that makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// The word for it in printed plans.
    pub name: &'static str,
    /// How many rows it has.
    pub rows: RowCount,
    /// Elements of a row; rows lie at multiples of 32 of them.
    pub cols: u32,
    /// Type of the elements.
    pub dtype: DType,
    /// Columns that nothing writes and something reads, as zeros.
    pub gaps: Vec<Range<u32>>,
}

impl TensorSpec {
    /// A row of `cols` floats for each row of the pass.
    pub fn per_row(name: &'static str, cols: u32) -> TensorSpec {
        TensorSpec {
            name,
            rows: RowCount::PerRow,
            cols,
            dtype: DType::F32,
            gaps: vec![],
        }
    }

    /// `rows` rows of `cols` floats in any pass.
    pub fn fixed(name: &'static str, rows: u32, cols: u32) -> TensorSpec {
        TensorSpec {
            rows: RowCount::Fixed(rows),
            ..TensorSpec::per_row(name, cols)
        }
    }
}

/// Neighbouring columns of a tensor, from `start` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// The tensor.
    pub tensor: Tensor,
    /// The first column.
    pub start: u32,
}

impl Tensor {
    /// Its columns from `start` on.
    pub fn from(self, start: u32) -> Columns {
        Columns {
            tensor: self,
            start,
        }
    }
}
