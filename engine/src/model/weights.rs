//! Where weights lie: tensors joined into matrices, matrices split by rows where a binding limit asks for it, and their
//! way from the file to the GPU, packed by their format and never expanded.

use std::{borrow::Cow, ops::ControlFlow};

use lantern_kernels::{
    Format, Part,
    formats::{Order, STRIP},
};

use crate::{
    Error, Gpu, ModelFile, Result,
    file::TensorInfo,
    gpu::{
        buffer::{Buffer, Upload},
        pipeline::{BindingResource, Range},
        texture::Texture,
    },
};

/// A matrix on the GPU, made of one tensor or several.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// What plans call it: the tensor's name, or those of several joined.
    pub name: String,
    /// How it is stored.
    pub format: &'static Format,
    /// Rows of all tensors together.
    pub rows: u32,
    /// Columns.
    pub cols: u32,
    /// Rows alternate between the tensors (gate and up) instead of following each other (q, k and v).
    pub interleaved: bool,
    /// The tensors.
    pub tensors: Vec<TensorInfo>,
    /// Rows that fit one binding, in order.
    pub pieces: Vec<Piece>,
    /// Its planes are textures instead of parts of a buffer.
    pub textured: bool,
}

/// Is told of stored bytes, and how many of the file's they stand for; breaking it ends in [`Error::Aborted`].
pub(crate) type Each<'a> = dyn FnMut(&[u8], u64) -> ControlFlow<()> + 'a;

/// A piece of a matrix on the GPU.
pub(crate) enum Stored {
    /// All planes in one buffer.
    Buffer(Buffer),
    /// A texture for each plane.
    Textures(Vec<Texture>),
    /// All planes in a buffer that pieces take turns in: of this half of those that there are, at this place.
    Turns(usize, usize),
}

impl Stored {
    /// A plane of this piece of `matrix`.
    pub fn plane(&self, matrix: &Matrix, piece: usize, plane: &str) -> BindingResource<'_> {
        let index = matrix.plane(plane);
        match self {
            Stored::Textures(textures) => BindingResource::Texture(&textures[index].view),
            Stored::Buffer(buffer) => matrix.range(piece, index, buffer),
            Stored::Turns(..) => panic!("{} has no buffer of its own", matrix.name),
        }
    }
}

/// Rows of a matrix that fit one binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The first.
    pub row_start: u32,
    /// How many.
    pub rows: u32,
}

/// In buffers rows are split at multiples of this: it keeps pairs together and every plane on whole 16 bytes.
const ROWS_TOGETHER: u32 = 16;
/// Offsets of bindings within a buffer are multiples of this on every adapter.
pub(crate) const ALIGNMENT: u64 = 256;
/// Bytes of a file that are packed at a time.
pub(crate) const STRIP_BYTES: usize = 2 << 20;

impl Matrix {
    /// A matrix of `tensors`, each (rows, cols) of the same format, in pieces that fit `gpu`.
    pub fn new(gpu: &Gpu, tensors: Vec<TensorInfo>, interleaved: bool) -> Result<Matrix> {
        let format = format_of(&tensors[0])?;
        let name = join_names(&tensors);
        let (cols, rows): (u32, u32) = (
            tensors[0].shape[0] as u32,
            tensors.iter().map(|t| t.shape[1] as u32).sum(),
        );
        let limits = &gpu.adapter().limits;
        let textured = gpu.textures();
        let (order, together) = (order(textured), together(textured));
        let row_bytes = |plane| {
            format
                .plane_bytes(order, plane, together, cols)
                .next_multiple_of(ALIGNMENT)
        };
        let largest = (0..format.planes.len()).map(row_bytes).max().unwrap_or(1);
        let all: u64 = (0..format.planes.len()).map(row_bytes).sum();
        let strips =
            (limits.max_storage_buffer_binding_size / largest).min(limits.max_buffer_size / all);
        let max = (strips * u64::from(together)).min(u64::from(u32::MAX)) as u32;
        if max == 0 {
            let limit = limits.max_storage_buffer_binding_size;
            return Err(Error::DoesNotFit(format!(
                "{together} rows of {name} take more than {limit} bytes"
            )));
        }
        let max = max / together * together;
        let piece = |i: u32| Piece {
            row_start: i * max,
            rows: max.min(rows - i * max),
        };
        let pieces = (0..rows.div_ceil(max)).map(piece).collect();
        Ok(Matrix {
            name,
            format,
            rows,
            cols,
            interleaved,
            tensors,
            pieces,
            textured,
        })
    }

    /// Offset and size in a piece's buffer of each plane, and the buffer's size.
    pub(crate) fn planes(&self, piece: Piece) -> (Vec<(u64, u64)>, u64) {
        let mut end = 0;
        let mut place = |plane| {
            let start = end;
            let size = self
                .format
                .plane_bytes(self.order(), plane, piece.rows, self.cols);
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

    /// Plane `index` of a piece that lies in `buffer`.
    pub(crate) fn range<'b>(
        &self,
        piece: usize,
        index: usize,
        buffer: &'b Buffer,
    ) -> BindingResource<'b> {
        let (start, size) = self.planes(self.pieces[piece]).0[index];
        BindingResource::Range(Range {
            buffer,
            start,
            size: Some(size),
        })
    }

    /// How its rows lie.
    pub(crate) fn order(&self) -> Order {
        order(self.textured)
    }

    /// Its pieces, and the parts in which they are packed, have multiples of so many rows.
    fn together(&self) -> u32 {
        together(self.textured)
    }

    /// In pieces of about `max` bytes at most.
    pub(crate) fn split(&mut self, max: u64) {
        let strip = Piece {
            row_start: 0,
            rows: self.together(),
        };
        let strips = u32::try_from(max / self.planes(strip).1).unwrap_or(u32::MAX);
        let max = strips.clamp(1, u32::MAX / self.together()) * self.together();
        if self.pieces.iter().all(|piece| piece.rows <= max) {
            return;
        }
        let starts = (0..self.rows).step_by(max as usize);
        let piece = |row_start| Piece {
            row_start,
            rows: max.min(self.rows - row_start),
        };
        self.pieces = starts.map(piece).collect();
    }

    /// The first `rows` rows of the same, by themselves, in a buffer.
    pub(crate) fn some_rows(&self, rows: u32) -> Matrix {
        let rows = rows.next_multiple_of(ROWS_TOGETHER);
        let row_start = 0;
        Matrix {
            rows,
            pieces: vec![Piece { row_start, rows }],
            textured: false,
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
        pieces.map(|&piece| self.piece_stored_bytes(piece)).sum()
    }

    /// Bytes of a piece on the GPU.
    pub(crate) fn piece_stored_bytes(&self, piece: Piece) -> u64 {
        let (planes, size) = self.planes(piece);
        if !self.textured {
            return size;
        }
        let textures = planes.iter().enumerate().map(|(plane, &(_, bytes))| {
            let (width, height, texel) = self.format.texture(plane, bytes);
            u64::from(width * texel) * u64::from(height)
        });
        textures.sum()
    }

    /// Rows that are packed where `rows` are wanted.
    pub(crate) fn rows_read(rows: usize) -> usize {
        rows.next_multiple_of(ROWS_TOGETHER as usize)
    }

    /// Which rows of tensor `tensor` are among the matrix's rows `first..first + rows`: the first of them, and how many.
    fn rows_of(&self, tensor: usize, first: u32, rows: u32) -> (u32, u32) {
        let count = self.tensors.len() as u32;
        if self.interleaved {
            let before = |row: u32| (row + count - 1 - tensor as u32) / count;
            let start = before(first);
            return (start, before(first + rows) - start);
        }
        let height = |t: &TensorInfo| t.shape[1] as u32;
        let offset: u32 = self.tensors[..tensor].iter().map(height).sum();
        let within = |row: u32| row.clamp(offset, offset + height(&self.tensors[tensor])) - offset;
        let start = within(first);
        (start, within(first + rows) - start)
    }

    /// Stored rows, gathered in the matrix's order.
    pub(crate) async fn gather<'f>(
        &self,
        file: &'f ModelFile,
        first: u32,
        rows: u32,
    ) -> Result<Cow<'f, [u8]>> {
        let size = self.format.row_bytes(self.cols);
        let mut strips = Vec::new();
        for (index, tensor) in self.tensors.iter().enumerate() {
            let (start, count) = self.rows_of(index, first, rows);
            let start = u64::from(start) * size as u64;
            let range = start..start + u64::from(count) * size as u64;
            let whole = count == rows;
            let strip = file.data(tensor, range).await?;
            if whole {
                return Ok(strip);
            }
            strips.push(strip);
        }
        if !self.interleaved {
            return Ok(strips.concat().into());
        }
        let mut gathered = Vec::with_capacity(rows as usize * size);
        let mut left: Vec<_> = strips
            .iter()
            .map(|strip| strip.chunks_exact(size))
            .collect();
        for row in first..first + rows {
            let tensor = row as usize % left.len();
            gathered.extend_from_slice(left[tensor].next().expect("a row of the strip"));
        }
        Ok(gathered.into())
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

    /// Makes one piece, of zeros.
    pub(crate) async fn make(&self, gpu: &Gpu, piece: Piece) -> Result<Stored> {
        let (planes, size) = self.planes(piece);
        if !self.textured {
            return Ok(Stored::Buffer(gpu.storage(&self.name, size).await?));
        }
        let mut textures = Vec::new();
        for (plane, (_, bytes)) in planes.into_iter().enumerate() {
            let texture = gpu.plane_texture(&self.name, self.format, plane, bytes);
            textures.push(texture.await?);
        }
        Ok(Stored::Textures(textures))
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
        let stored = self.make(gpu, piece).await?;
        for (first, rows) in self.strips(piece) {
            let bytes = self.gather(file, piece.row_start + first, rows).await?;
            match &stored {
                Stored::Textures(textures) => {
                    for (i, before, packed) in self.packed(&bytes, first, rows) {
                        upload.write_plane(&textures[i], before, &packed).await?;
                    }
                }
                Stored::Buffer(buffer) => {
                    let place = (piece, first, rows);
                    self.write(&bytes, place, buffer, upload).await?;
                }
                Stored::Turns(..) => unreachable!("made above"),
            }
            if each(&bytes, bytes.len() as u64).is_break() {
                return Err(Error::Aborted);
            }
        }
        Ok(stored)
    }

    /// First row and number of those strips that a piece is read in: so many rows of any plane are whole 16 bytes.
    fn strips(&self, piece: Piece) -> impl Iterator<Item = (u32, u32)> + use<> {
        let row_bytes = self.format.row_bytes(self.cols);
        let strip = (STRIP_BYTES / row_bytes) as u32 / self.together() * self.together();
        let strip = strip.max(self.together());
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
        let share = rows.div_ceil(threads()).next_multiple_of(self.together());
        let pack = |(index, bytes): (usize, &[u8])| {
            let start = index as u32 * share;
            let count = share.min(rows - start);
            let planes = self.format.pack_rows(self.order(), bytes, count, self.cols);
            let place = move |(i, packed)| {
                let before = self
                    .format
                    .plane_bytes(self.order(), i, first + start, self.cols);
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

    /// Fills one piece in a buffer that is there.
    pub(crate) async fn upload_piece(
        &self,
        file: &ModelFile,
        piece: Piece,
        buffer: &Buffer,
        upload: &mut Upload<'_>,
    ) -> Result<()> {
        for (first, rows) in self.strips(piece) {
            let bytes = self.gather(file, piece.row_start + first, rows).await?;
            self.write(&bytes, (piece, first, rows), buffer, upload)
                .await?;
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
            if each(&bytes, bytes.len() as u64).is_break() {
                return Err(Error::Aborted);
            }
        }
        Ok(())
    }

    /// The decoder's part for where its planes are.
    pub(crate) fn part(&self) -> &'static Part {
        if self.textured {
            &self.format.textured
        } else {
            &self.format.part
        }
    }
}

fn order(textured: bool) -> Order {
    if textured { Order::Strips } else { Order::Rows }
}

fn together(textured: bool) -> u32 {
    if textured { STRIP } else { ROWS_TOGETHER }
}

/// Threads that pack at once; in a browser there is one.
fn threads() -> u32 {
    const THREADS_MAX: usize = 8;
    std::thread::available_parallelism().map_or(1, |count| count.get().min(THREADS_MAX) as u32)
}

/// The format of a tensor, where it is one that runs here.
pub(crate) fn format_of(tensor: &TensorInfo) -> Result<&'static Format> {
    Format::of(tensor.kind.id()).ok_or_else(|| {
        let known: Vec<String> = lantern_kernels::FORMATS
            .iter()
            .map(|f| f.name.to_uppercase())
            .collect();
        let (name, kind) = (&tensor.name, tensor.kind.name());
        Error::Unsupported(format!(
            "{name} is stored as {kind}, which is not run here; known are {}",
            known.join(", ")
        ))
    })
}

/// `blk.0.attn_q+k+v`, from the tensors' names.
pub(super) fn join_names(tensors: &[TensorInfo]) -> String {
    let stem = |t: &TensorInfo| t.name.trim_end_matches(".weight").to_string();
    let last = |t| stem(t).rsplit(['_', '.']).next().map(str::to_string);
    let rest = tensors[1..].iter().filter_map(last);
    [stem(&tensors[0])]
        .into_iter()
        .chain(rest)
        .collect::<Vec<_>>()
        .join("+")
}
