//! Where weights lie: tensors joined into matrices, and matrices split by rows where a binding limit asks for it.

use std::ops::Range;

use lantern_kernels::{Format, padded};

use crate::{
    Error, Gpu, Limit, Result,
    file::{TensorInfo, format_of},
};

/// How the tensors of a matrix lie in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrangement {
    /// Rows follow each other (q, k and v).
    Following,
    /// Rows alternate (gate and up).
    Alternating,
    /// Columns lie side by side, those of each tensor but the last with zeros up to a whole group.
    Beside,
}

/// A matrix on the GPU, made of one tensor or several.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// Its name in plans: the tensor's, or those of several joined.
    pub name: String,
    /// How it is stored.
    pub format: &'static Format,
    /// Rows of all tensors together.
    pub rows: u32,
    /// Columns.
    pub cols: u32,
    /// How its tensors lie in it.
    pub arrangement: Arrangement,
    /// The tensors.
    pub tensors: Vec<TensorInfo>,
    /// Rows that fit one binding, in order.
    pub pieces: Vec<Piece>,
}

/// Rows of a matrix that fit one binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The first.
    pub row_start: u32,
    /// How many.
    pub rows: u32,
}

/// Rows are split, and packed, at multiples of this: it keeps pairs together and every plane on whole 16 bytes.
pub(crate) const ROWS_TOGETHER: u32 = 16;
/// Offsets of bindings within a buffer are multiples of this on every adapter.
pub(crate) const ALIGNMENT: u64 = 256;

/// Bytes that a piece may have: each of its planes, and all of them.
#[derive(Debug, Clone, Copy)]
pub struct PieceLimits {
    binding: u64,
    buffer: u64,
}

impl PieceLimits {
    /// No limits, for a look at a model without an adapter.
    pub const NONE: PieceLimits = PieceLimits {
        binding: u64::MAX,
        buffer: u64::MAX,
    };

    /// Limits of an adapter.
    pub fn of(gpu: &Gpu) -> PieceLimits {
        let limits = &gpu.adapter().limits;
        PieceLimits {
            binding: limits.max_storage_buffer_binding_size,
            buffer: limits.max_buffer_size,
        }
    }
}

impl Matrix {
    /// A matrix of `tensors`, each (rows, cols) of the same format, in pieces within `limits`.
    pub fn new(
        limits: PieceLimits,
        tensors: Vec<TensorInfo>,
        arrangement: Arrangement,
    ) -> Result<Matrix> {
        let format = format_of(&tensors[0])?;
        let name = join_names(&tensors);
        let (cols, rows) = match arrangement {
            Arrangement::Beside => {
                let (last, others) = tensors.split_last().expect("a matrix has a tensor");
                let before: u32 = others.iter().map(|t| padded(t.shape[0] as u32)).sum();
                (before + last.shape[0] as u32, last.shape[1] as u32)
            }
            Arrangement::Following | Arrangement::Alternating => (
                tensors[0].shape[0] as u32,
                tensors.iter().map(|t| t.shape[1] as u32).sum(),
            ),
        };
        let strip_bytes = |plane| {
            format
                .plane_bytes(plane, ROWS_TOGETHER, cols)
                .next_multiple_of(ALIGNMENT)
        };
        let largest = (0..format.planes.len()).map(strip_bytes).max().unwrap_or(1);
        let all: u64 = (0..format.planes.len()).map(strip_bytes).sum();
        let strips = (limits.binding / largest).min(limits.buffer / all);
        let most = (strips * u64::from(ROWS_TOGETHER)).min(u64::from(u32::MAX)) as u32;
        if most == 0 {
            let (limit, needed, available) = if largest > limits.binding {
                (Limit::Binding, largest, limits.binding)
            } else {
                (Limit::Buffer, all, limits.buffer)
            };
            return Err(Error::DoesNotFit {
                limit,
                needed,
                available: Some(available),
                message: format!("{ROWS_TOGETHER} rows of {name} take more than {available} bytes"),
            });
        }
        let most = most / ROWS_TOGETHER * ROWS_TOGETHER;
        let piece = |i: u32| Piece {
            row_start: i * most,
            rows: most.min(rows - i * most),
        };
        let pieces = (0..rows.div_ceil(most)).map(piece).collect();
        Ok(Matrix {
            name,
            format,
            rows,
            cols,
            arrangement,
            tensors,
            pieces,
        })
    }

    /// The column at which tensor `tensor` starts.
    pub(crate) fn col_start(&self, tensor: usize) -> u32 {
        match self.arrangement {
            Arrangement::Beside => {
                let before = self.tensors[..tensor].iter();
                before.map(|t| padded(t.shape[0] as u32)).sum()
            }
            Arrangement::Following | Arrangement::Alternating => 0,
        }
    }

    /// Whether these rows are zeros that are in no file.
    pub(crate) fn has_zeros(&self, rows: Range<u32>) -> bool {
        let mut row_start = 0;
        for tensor in &self.tensors {
            let end = row_start + tensor.shape[1] as u32;
            let own = rows.start.max(row_start) < rows.end.min(end);
            if own && !tensor.is_zeros() {
                return false;
            }
            row_start = end;
        }
        self.arrangement == Arrangement::Following && rows.end <= row_start
    }

    /// Offset and size in a piece's buffer of each plane, and the buffer's size.
    pub(crate) fn planes(&self, piece: Piece) -> (Vec<(u64, u64)>, u64) {
        let mut end = 0;
        let mut place = |plane| {
            let start = end;
            let size = self.format.plane_bytes(plane, piece.rows, self.cols);
            end = (start + size).next_multiple_of(ALIGNMENT);
            (start, size)
        };
        ((0..self.format.planes.len()).map(&mut place).collect(), end)
    }

    /// The number of the plane that kernels bind as `binding`.
    pub(crate) fn plane(&self, binding: &str) -> usize {
        let index = self.format.planes.iter().position(|p| p.binding == binding);
        index.unwrap_or_else(|| panic!("{} has no plane {binding}", self.format.name))
    }

    /// In pieces of about `most` bytes at most.
    pub(crate) fn split(&mut self, most: u64) {
        let strip = Piece {
            row_start: 0,
            rows: ROWS_TOGETHER,
        };
        let strips = u32::try_from(most / self.planes(strip).1).unwrap_or(u32::MAX);
        let most = strips.clamp(1, u32::MAX / ROWS_TOGETHER) * ROWS_TOGETHER;
        if self.pieces.iter().all(|piece| piece.rows <= most) {
            return;
        }
        let starts = (0..self.rows).step_by(most as usize);
        let piece = |row_start| Piece {
            row_start,
            rows: most.min(self.rows - row_start),
        };
        self.pieces = starts.map(piece).collect();
    }

    /// The first `rows` rows of the same, by themselves.
    pub(crate) fn some_rows(&self, rows: u32) -> Matrix {
        let rows = rows.next_multiple_of(ROWS_TOGETHER);
        let row_start = 0;
        Matrix {
            rows,
            pieces: vec![Piece { row_start, rows }],
            ..self.clone()
        }
    }

    /// Bytes in the file.
    pub fn bytes(&self) -> u64 {
        self.tensors.iter().map(|t| t.bytes).sum()
    }

    /// Bytes on the GPU.
    pub(crate) fn stored_bytes(&self) -> u64 {
        let pieces = self.pieces.iter();
        pieces.map(|&piece| self.planes(piece).1).sum()
    }
}

/// `blk.0.attn_q+k+v`, from the tensors' names.
pub(crate) fn join_names(tensors: &[TensorInfo]) -> String {
    let stem = |t: &TensorInfo| t.name.trim_end_matches(".weight").to_string();
    let last = |t: &TensorInfo| stem(t).rsplit(['_', '.']).next().map(str::to_string);
    let stored: Vec<_> = tensors.iter().filter(|t| !t.is_zeros()).collect();
    let others = stored.windows(2).filter(|two| two[0].name != two[1].name);
    let rest = others.filter_map(|two| last(two[1]));
    [stem(&tensors[0])]
        .into_iter()
        .chain(rest)
        .collect::<Vec<_>>()
        .join("+")
}
