//! Random weights of synthetic models, made on the GPU where they stay; see [`crate::ModelFile::synthetic`].

use lantern_kernels::{
    Shader, bytes_of_params,
    formats::Plane,
    noise::{NOISE, Params},
};

use super::weights::{Each, Stored};
use crate::{
    Error, Gpu, ModelFile, Result,
    file::{Noise, TensorInfo},
    gpu::{buffer::Buffer, pipeline::BindingResource},
    model::weights::{Arrangement, Matrix, Piece},
};

/// Bytes that one dispatch fills.
const CHUNK_BYTES: u64 = 8 << 20;

/// The random weights of a model on their way to the GPU.
pub(super) struct RandomLoader<'a> {
    gpu: &'a Gpu,
    noise: &'a Noise,
    shader: Shader,
    tables: Vec<Table>,
}

/// Random units of a stored type, packed, for each plane.
struct Table {
    kind: u32,
    units: u32,
    planes: Vec<Buffer>,
}

impl<'a> RandomLoader<'a> {
    /// Loader of the random weights of a file, where they are random.
    pub fn of(gpu: &'a Gpu, file: &'a ModelFile) -> Option<RandomLoader<'a>> {
        Some(RandomLoader {
            gpu,
            noise: file.noise()?,
            shader: Shader::new(&NOISE, gpu.variant(&NOISE), &[], &[]),
            tables: vec![],
        })
    }

    /// Makes and fills a piece, as [`Matrix::load`] does from a file.
    pub async fn load(
        &mut self,
        matrix: &Matrix,
        piece: Piece,
        each: &mut Each<'_>,
    ) -> Result<Stored> {
        let buffer = matrix.make(self.gpu, piece).await?;
        let (planes, _) = matrix.planes(piece);
        let table = self.table(matrix).await?;
        for (index, &(start, size)) in planes.iter().enumerate() {
            let mut params = params(matrix, piece, index);
            params.choices = self.tables[table].units;
            for first in (0..size).step_by(CHUNK_BYTES as usize) {
                let bytes = CHUNK_BYTES.min(size - first);
                params.start = (first / 16) as u32;
                params.groups = (bytes / 16) as u32; // of which planes are whole
                let from = &self.tables[table].planes[index];
                self.fill(&params, from, (&buffer, start + first)).await?;
                self.gpu.wait().await?;
            }
        }
        // What it is made of says all that there is to know.
        let (name, format, cols) = (&matrix.name, matrix.format, matrix.cols);
        let about = format!("{name} {} {} {cols}", format.name, piece.rows);
        let bytes = piece.rows as usize * format.row_bytes(cols);
        if each(about.as_bytes(), bytes as u64).is_break() {
            return Err(Error::Aborted);
        }
        Ok(Stored::Buffer(buffer))
    }

    /// Fills a buffer with random units, from byte `start` on.
    async fn fill(
        &self,
        params: &Params,
        table: &Buffer,
        (buffer, start): (&Buffer, u64),
    ) -> Result<()> {
        let size = Some(u64::from(params.groups) * 16);
        let found = |name: &str| match name {
            "table" => BindingResource::from(table),
            _ => BindingResource {
                buffer,
                start,
                size,
            },
        };
        let bytes = bytes_of_params(params);
        let alone = self
            .gpu
            .alone(&self.shader, &bytes, params.groups, found)
            .await?;
        self.gpu.dispatch_times(&alone.single, 1);
        Ok(())
    }

    /// Index of the table for a matrix's type.
    async fn table(&mut self, matrix: &Matrix) -> Result<usize> {
        let (kind, format) = (matrix.tensors[0].kind, matrix.format);
        if let Some(known) = self.tables.iter().position(|table| table.kind == kind.id()) {
            return Ok(known);
        }
        let units = self
            .noise
            .table(kind)
            .chunks_exact(format.row_bytes(format.unit()));
        let count = units.len() as u32;
        let mut planes: Vec<Vec<u8>> = vec![vec![]; format.planes.len()];
        for unit in units {
            let own = |plane: &Plane| vec![0; plane.bytes * plane.runs];
            let mut packed: Vec<Vec<u8>> = format.planes.iter().map(own).collect();
            (format.pack)(unit, &mut packed);
            planes
                .iter_mut()
                .zip(packed)
                .for_each(|(all, unit)| all.extend(unit));
        }
        let mut buffers = Vec::new();
        for plane in planes {
            let buffer = self.gpu.storage("table", plane.len() as u64).await?;
            self.gpu.write(&buffer, 0, &plane);
            buffers.push(buffer);
        }
        self.tables.push(Table {
            kind: kind.id(),
            units: count,
            planes: buffers,
        });
        Ok(self.tables.len() - 1)
    }
}

/// Whether rows are whole units of as few tensors as the kernel takes.
pub(super) fn can_fill(matrix: &Matrix) -> bool {
    let tensors = match matrix.arrangement {
        Arrangement::Following => 1..=3,
        Arrangement::Alternating => 2..=2,
        Arrangement::Beside => return false,
    };
    let whole = matrix.cols.is_multiple_of(matrix.format.unit());
    let stored = !matrix.tensors.iter().any(TensorInfo::is_zeros);
    whole && stored && tensors.contains(&matrix.tensors.len())
}

/// The kernel's parameters for a plane of a piece, but for what is filled at once and from how many units.
fn params(matrix: &Matrix, piece: Piece, plane: usize) -> Params {
    let (format, tensors) = (matrix.format, &matrix.tensors);
    let plane = &format.planes[plane];
    let unit_bytes = format.row_bytes(format.unit()) as u64;
    let rows = |i: usize| tensors.get(i).map_or(0, |t| t.shape[1] as u32);
    let first = |i: usize| {
        tensors
            .get(i)
            .map_or(0, |t| Noise::number(t.offset, unit_bytes))
    };
    Params {
        start: 0,
        groups: 0,
        row_start: piece.row_start,
        units: matrix.cols / format.unit(),
        run: plane.bytes as u32,
        runs: plane.runs as u32,
        wide: plane.wide() as u32,
        choices: 0,
        alternating: u32::from(matrix.arrangement == Arrangement::Alternating),
        rows_first: rows(0),
        rows_second: rows(1),
        first: first(0),
        second: first(1),
        third: first(2),
    }
}
