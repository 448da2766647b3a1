//! Stored types: one pair of files each. The `.rs` has the block as files have it, its decoder for the CPU and its
//! packing into 4-byte-aligned planes; the `.wgsl` decodes those planes, in one place for every kernel.
//!
//! A decoder yields w = scale q + min for [`GROUP`] weights at a time; `scale` and `min` are [`GROUP`]'s own.
//! Source of all layouts: ggml's `ggml-common.h`, and PyPI's `gguf` package, `quants.py`.

mod bf16;
pub mod encode;
mod f16;
mod f32;
mod grids;
mod iq1_m;
mod iq1_s;
mod iq2_s;
mod iq2_xs;
mod iq2_xxs;
mod iq3_s;
mod iq3_xxs;
mod iq4_nl;
mod iq4_xs;
mod mxfp4;
mod nvfp4;
mod pack;
mod planes;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;
mod tq1_0;
mod tq2_0;

use crate::{GROUP, Part, Socket, padded, random::Random};
pub use planes::Plane;

/// One stored type.
#[derive(Debug)]
pub struct Format {
    /// ggml's name in lower case.
    pub name: &'static str,
    /// ggml's type number in GGUF files.
    pub ggml: u32,
    /// Weights in a block of the file.
    pub block: u32,
    /// Bytes of a block of the file.
    pub bytes: u32,
    /// The planes of the packed form.
    pub planes: &'static [Plane],
    /// One block as f32.
    pub decode: fn(block: &[u8], weights: &mut [f32]),
    /// One group of [`GROUP`] weights, or one block if that is larger, into each plane, zero until then.
    pub pack: fn(blocks: &[u8], planes: &mut [Vec<u8>]),
    /// A random block for cases.
    pub random: fn(&mut Random, block: &mut [u8]),
    /// The decoder for the GPU.
    pub part: Part,
}

/// Every stored type.
pub const FORMATS: &[&Format] = &[
    &f32::F32,
    &f16::F16,
    &bf16::BF16,
    &q4_0::Q4_0,
    &q4_1::Q4_1,
    &q5_0::Q5_0,
    &q5_1::Q5_1,
    &q8_0::Q8_0,
    &q2_k::Q2_K,
    &q3_k::Q3_K,
    &q4_k::Q4_K,
    &q5_k::Q5_K,
    &q6_k::Q6_K,
    &iq4_nl::IQ4_NL,
    &iq4_xs::IQ4_XS,
    &iq3_s::IQ3_S,
    &iq3_xxs::IQ3_XXS,
    &iq2_s::IQ2_S,
    &iq2_xs::IQ2_XS,
    &iq2_xxs::IQ2_XXS,
    &iq1_m::IQ1_M,
    &iq1_s::IQ1_S,
    &tq1_0::TQ1_0,
    &tq2_0::TQ2_0,
    &mxfp4::MXFP4,
    &nvfp4::NVFP4,
];

/// Formats whose decoders also yield bytes.
const WITH_BYTES: &[&Format] = &[
    &q4_0::Q4_0,
    &q4_1::Q4_1,
    &q5_0::Q5_0,
    &q5_1::Q5_1,
    &q8_0::Q8_0,
    &q4_k::Q4_K,
    &q5_k::Q5_K,
];

/// The decoders, for kernels that read weights.
pub const FORMAT: Socket = Socket {
    name: "format",
    parts: &decoders::<{ FORMATS.len() }>(FORMATS),
};

/// The socket of decoders that also yield bytes: those of quantised formats.
pub const BYTES: Socket = Socket {
    name: "format",
    parts: &decoders::<{ WITH_BYTES.len() }>(WITH_BYTES),
};

/// The decoder of each format.
const fn decoders<const N: usize>(formats: &[&'static Format]) -> [&'static Part; N] {
    let mut parts = [&formats[0].part; N];
    let mut i = 0;
    while i < formats.len() {
        parts[i] = &formats[i].part;
        i += 1;
    }
    parts
}

impl Format {
    /// Its weights are integers of at most 8 bits before their scale, and its decoder yields those too.
    pub fn has_bytes(&self) -> bool {
        WITH_BYTES.iter().any(|f| f.ggml == self.ggml)
    }

    /// The format with ggml's type number.
    pub fn of(ggml: u32) -> Option<&'static Format> {
        FORMATS.iter().copied().find(|f| f.ggml == ggml)
    }

    /// Weights that `pack` takes at a time.
    pub const fn unit(&self) -> u32 {
        if self.block > GROUP {
            self.block
        } else {
            GROUP
        }
    }

    /// Bytes of a row of `cols` weights in the file.
    pub const fn row_bytes(&self, cols: u32) -> usize {
        (cols / self.block) as usize * self.bytes as usize
    }

    /// Kernels have cases of it with all that fills their sockets. Of other formats they have one or two, for sockets are
    /// independent, and drivers take a second for a pipeline.
    pub fn in_full(&self) -> bool {
        self.block == 1 || (self.block == GROUP && self.has_bytes())
    }

    /// `cols` rounded up to whole blocks.
    pub const fn whole(&self, cols: u32) -> u32 {
        cols.next_multiple_of(self.block)
    }

    /// Bytes of `rows` in plane `plane`, rounded up to 16.
    pub fn plane_bytes(&self, plane: usize, rows: u32, cols: u32) -> u64 {
        let size = self.planes[plane].size(rows, cols.div_ceil(self.unit()));
        size.next_multiple_of(16)
    }

    /// Packs whole rows; the result has [`Format::plane_bytes`] bytes in each plane.
    pub fn pack_rows(&self, bytes: &[u8], rows: u32, cols: u32) -> Vec<Vec<u8>> {
        let all = |(i, _)| vec![0; self.plane_bytes(i, rows, cols) as usize];
        let mut planes: Vec<Vec<u8>> = self.planes.iter().enumerate().map(all).collect();
        let own = |plane: &Plane| vec![0; plane.unit_bytes()];
        let mut packed: Vec<Vec<u8>> = self.planes.iter().map(own).collect();
        let unit_bytes = (self.unit() / self.block * self.bytes) as usize;
        let units = cols.div_ceil(self.unit()) as usize;
        for (row, bytes) in bytes.chunks_exact(self.row_bytes(cols)).enumerate() {
            for (unit, blocks) in bytes.chunks(unit_bytes).enumerate() {
                for unit in &mut packed {
                    unit.fill(0);
                }
                (self.pack)(blocks, &mut packed);
                for ((plane, packed), own) in planes.iter_mut().zip(&packed).zip(self.planes) {
                    own.put(plane, packed, row, (unit, units));
                }
            }
        }
        planes
    }

    /// (rows, padded columns) as f32, zeros in the padding.
    pub fn decode_rows(&self, bytes: &[u8], rows: u32, cols: u32) -> Vec<f32> {
        let stride = padded(cols) as usize;
        let mut weights = vec![0.0; rows as usize * stride];
        for (row, bytes) in weights
            .chunks_exact_mut(stride)
            .zip(bytes.chunks_exact(self.row_bytes(cols)))
        {
            let blocks = row
                .chunks_mut(self.block as usize)
                .zip(bytes.chunks_exact(self.bytes as usize));
            blocks.for_each(|(weights, block)| (self.decode)(block, weights));
        }
        weights
    }
}

const fn part(name: &'static str, source: &'static str, uses: &'static [&'static Part]) -> Part {
    Part {
        uses,
        ..Part::new(name, source)
    }
}
