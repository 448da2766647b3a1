//! Weights on their way from the file to the GPU, packed by their format and never expanded.

use std::{borrow::Cow, ops::ControlFlow};

use lantern_kernels::padded;

use crate::{
    Error, Gpu, ModelFile, Result,
    file::TensorInfo,
    gpu::{
        buffer::Buffer,
        pipeline::BindingResource,
        upload::{STRIP_BYTES, Upload},
    },
    model::weights::{Arrangement, Matrix, Piece, ROWS_TOGETHER},
};

/// Is told of stored bytes, and how many of the file's they stand for; breaking it ends in [`Error::Aborted`].
pub(crate) type Each<'a> = dyn FnMut(&[u8], u64) -> ControlFlow<()> + 'a;

/// A piece of a matrix on the GPU.
pub(crate) enum Stored {
    /// All planes in one buffer.
    Buffer(Buffer),
    /// All planes in a buffer that pieces take turns in: of this half of those that there are, at this place.
    Turns(usize, usize),
}

impl Stored {
    /// A plane of this piece of `matrix`.
    pub fn plane(&self, matrix: &Matrix, piece: usize, plane: &str) -> BindingResource<'_> {
        let index = matrix.plane(plane);
        match self {
            Stored::Buffer(buffer) => matrix.range(piece, index, buffer),
            Stored::Turns(..) => panic!("{} has no buffer of its own", matrix.name),
        }
    }
}

impl Matrix {
    /// Plane `index` of a piece that lies in `buffer`.
    pub(crate) fn range<'b>(
        &self,
        piece: usize,
        index: usize,
        buffer: &'b Buffer,
    ) -> BindingResource<'b> {
        let (start, size) = self.planes(self.pieces[piece]).0[index];
        BindingResource {
            buffer,
            start,
            size: Some(size),
        }
    }

    /// Rows that are packed where `rows` are wanted.
    pub(crate) fn rows_read(rows: usize) -> usize {
        rows.next_multiple_of(ROWS_TOGETHER as usize)
    }

    /// Which rows of tensor `tensor` are among the matrix's rows `first..first + rows`: the first of them, and how many.
    fn rows_of(&self, tensor: usize, first: u32, rows: u32) -> (u32, u32) {
        let count = self.tensors.len() as u32;
        match self.arrangement {
            Arrangement::Beside => return (first, rows),
            Arrangement::Alternating => {
                let before = |row: u32| (row + count - 1 - tensor as u32) / count;
                let start = before(first);
                return (start, before(first + rows) - start);
            }
            Arrangement::Following => {}
        }
        let height = |t: &TensorInfo| t.shape[1] as u32;
        let offset: u32 = self.tensors[..tensor].iter().map(height).sum();
        let within = |row: u32| row.clamp(offset, offset + height(&self.tensors[tensor])) - offset;
        let start = within(first);
        (start, within(first + rows) - start)
    }

    /// Bytes of the file that so many rows are made of.
    fn file_bytes(&self, first: u32, rows: u32) -> u64 {
        let bytes = |(index, tensor): (usize, &TensorInfo)| {
            let (_, count) = self.rows_of(index, first, rows);
            tensor.bytes * u64::from(count) / tensor.shape[1].max(1)
        };
        self.tensors.iter().enumerate().map(bytes).sum()
    }

    /// Stored rows, gathered in the matrix's order.
    pub(crate) async fn gather<'f>(
        &self,
        file: &'f ModelFile,
        first: u32,
        rows: u32,
    ) -> Result<Cow<'f, [u8]>> {
        let mut strips = Vec::new();
        for (index, tensor) in self.tensors.iter().enumerate() {
            let size = self.format.row_bytes(tensor.shape[0] as u32);
            let (start, count) = self.rows_of(index, first, rows);
            let start = u64::from(start) * size as u64;
            let range = start..start + u64::from(count) * size as u64;
            let strip = if tensor.is_zeros() {
                vec![0; count as usize * size].into()
            } else {
                file.data(tensor, range).await?
            };
            if count == rows && self.arrangement != Arrangement::Beside {
                return Ok(strip);
            }
            strips.push(strip);
        }
        Ok(match self.arrangement {
            Arrangement::Following => strips.concat(),
            Arrangement::Alternating => self.alternating(&strips, first, rows),
            Arrangement::Beside => self.beside(&strips, rows),
        }
        .into())
    }

    /// Rows of several tensors in turns.
    fn alternating(&self, strips: &[Cow<'_, [u8]>], first: u32, rows: u32) -> Vec<u8> {
        let size = self.format.row_bytes(self.cols);
        let mut gathered = Vec::with_capacity(rows as usize * size);
        let mut left: Vec<_> = strips
            .iter()
            .map(|strip| strip.chunks_exact(size))
            .collect();
        for row in first..first + rows {
            let tensor = row as usize % left.len();
            gathered.extend_from_slice(left[tensor].next().expect("a row of the strip"));
        }
        gathered
    }

    /// Rows of several tensors side by side, with zeros between them.
    fn beside(&self, strips: &[Cow<'_, [u8]>], rows: u32) -> Vec<u8> {
        let size = self.format.row_bytes(self.cols);
        let mut gathered = vec![0; rows as usize * size];
        let mut start = 0;
        for (tensor, strip) in self.tensors.iter().zip(strips) {
            let cols = tensor.shape[0] as u32;
            let own = self.format.row_bytes(cols);
            for (row, bytes) in gathered.chunks_exact_mut(size).zip(strip.chunks_exact(own)) {
                row[start..start + own].copy_from_slice(bytes);
            }
            start += self.format.row_bytes(padded(cols));
        }
        gathered
    }

    /// Makes and fills every piece, as [`Matrix::load`] does one.
    pub(crate) async fn load_all(
        &self,
        gpu: &Gpu,
        file: &ModelFile,
        upload: &mut Upload<'_>,
        each: &mut Each<'_>,
    ) -> Result<Vec<Stored>> {
        let mut pieces = Vec::new();
        for &piece in &self.pieces {
            pieces.push(self.load(gpu, file, piece, upload, each).await?);
        }
        Ok(pieces)
    }

    /// Makes the buffer of one piece, of zeros.
    pub(crate) async fn make(&self, gpu: &Gpu, piece: Piece) -> Result<Buffer> {
        gpu.storage(&self.name, self.planes(piece).1).await
    }

    /// Makes and fills one piece; `each` sees the stored bytes, and breaking it ends in [`Error::Aborted`].
    pub(crate) async fn load(
        &self,
        gpu: &Gpu,
        file: &ModelFile,
        piece: Piece,
        upload: &mut Upload<'_>,
        each: &mut Each<'_>,
    ) -> Result<Stored> {
        let buffer = self.make(gpu, piece).await?;
        self.bring(file, piece, &buffer, upload, each).await?;
        Ok(Stored::Buffer(buffer))
    }

    /// First row and number of those strips that a piece is read in: so many rows of any plane are whole 16 bytes.
    fn strips(&self, piece: Piece) -> impl Iterator<Item = (u32, u32)> + use<> {
        let row_bytes = self.format.row_bytes(self.cols);
        let strip = (STRIP_BYTES / row_bytes) as u32 / ROWS_TOGETHER * ROWS_TOGETHER;
        let strip = strip.max(ROWS_TOGETHER);
        let firsts = (0..piece.rows).step_by(strip as usize);
        firsts.map(move |first| (first, strip.min(piece.rows - first)))
    }

    /// Packs stored rows and writes them to a piece's buffer, from its row `first` on.
    pub(crate) async fn write(
        &self,
        bytes: &[u8],
        (piece, first, rows): (Piece, u32, u32),
        buffer: &Buffer,
        upload: &mut Upload<'_>,
    ) -> Result<()> {
        let planes = self.planes(piece).0;
        for (i, before, packed) in self.packed(bytes, first, rows) {
            upload.write(buffer, planes[i].0 + before, &packed).await?;
        }
        Ok(())
    }

    /// Stored rows from row `first` of a piece on, packed, natively by several threads: number of a plane, where in it, and
    /// its bytes.
    fn packed(&self, bytes: &[u8], first: u32, rows: u32) -> Vec<(usize, u64, Vec<u8>)> {
        let share = rows.div_ceil(threads()).next_multiple_of(ROWS_TOGETHER);
        let pack = |(index, bytes): (usize, &[u8])| {
            let start = index as u32 * share;
            let count = share.min(rows - start);
            let planes = self.format.pack_rows(bytes, count, self.cols);
            let place = move |(i, packed)| {
                let before = self.format.plane_bytes(i, first + start, self.cols);
                (i, before, packed)
            };
            planes.into_iter().enumerate().map(place)
        };
        let share_bytes = share as usize * self.format.row_bytes(self.cols);
        let mut shares = bytes.chunks(share_bytes).enumerate();
        std::thread::scope(|scope| {
            let own = shares.next();
            let others: Vec<_> = shares
                .map(|share| scope.spawn(move || pack(share)))
                .collect();
            let mut all: Vec<_> = own.into_iter().flat_map(pack).collect();
            for other in others {
                all.extend(other.join().expect("packing does not fail"));
            }
            all
        })
    }

    /// Fills one piece in a buffer that is there; `each` sees the stored bytes, and breaking it ends in [`Error::Aborted`].
    pub(crate) async fn bring(
        &self,
        file: &ModelFile,
        piece: Piece,
        buffer: &Buffer,
        upload: &mut Upload<'_>,
        each: &mut Each<'_>,
    ) -> Result<()> {
        for (first, rows) in self.strips(piece) {
            let bytes = self.gather(file, piece.row_start + first, rows).await?;
            self.write(&bytes, (piece, first, rows), buffer, upload)
                .await?;
            if each(&bytes, self.file_bytes(piece.row_start + first, rows)).is_break() {
                return Err(Error::Aborted);
            }
        }
        Ok(())
    }

    /// Reads one piece, for `each` to see; breaking it ends in [`Error::Aborted`].
    pub(crate) async fn read(
        &self,
        file: &ModelFile,
        piece: Piece,
        each: &mut Each<'_>,
    ) -> Result<()> {
        for (first, rows) in self.strips(piece) {
            let bytes = self.gather(file, piece.row_start + first, rows).await?;
            if each(&bytes, self.file_bytes(piece.row_start + first, rows)).is_break() {
                return Err(Error::Aborted);
            }
        }
        Ok(())
    }
}

/// Threads that pack at once; in a browser there is one.
fn threads() -> u32 {
    const MOST: usize = 8;
    std::thread::available_parallelism().map_or(1, |count| count.get().min(MOST) as u32)
}
