//! Stored types: one pair of files each. The `.rs` has the block as files have it, its decoder for the CPU and its
//! packing into 4-byte-aligned planes; the `.wgsl` decodes those planes, in one place for every kernel.
//!
//! A decoder yields w = scale q + least for [`GROUP`] weights at a time; `scale` and `least` are [`GROUP`]'s own.
//! Source of all layouts: ggml's `ggml-common.h`, and PyPI's `gguf` package, `quants.py`.

mod bf16;
mod f16;
mod f32;
mod q4_0;
mod q4_1;
mod q5_0;
mod q5_1;
mod q8_0;

use crate::{
    GROUP, Part, Socket, padded,
    parts::{BITS, PLANE_BUFFERS, PLANE_TEXTURES},
    random::Random,
};

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
    /// One group of [`GROUP`] weights, or one block if that is larger, into each plane.
    pub pack: fn(blocks: &[u8], planes: &mut [&mut [u16]]),
    /// A random block for cases.
    pub random: fn(&mut Random, block: &mut [u8]),
    /// The decoder for the GPU, with the planes in storage buffers.
    pub part: Part,
    /// The same with the planes in textures.
    pub textured: Part,
}

/// A part of the packed form with a binding of its own.
#[derive(Debug)]
pub struct Plane {
    /// The binding's name.
    pub binding: &'static str,
    /// Halfwords (2 bytes) for each unit: see [`Format::unit`].
    pub halfwords: usize,
}

impl Plane {
    /// Scales of four rows lie together, so that who has four rows fetches them at once; and there are four always.
    fn in_fours(&self) -> bool {
        self.binding == SCALES
    }

    /// Rows that there is room for.
    fn rows(&self, rows: u32) -> u32 {
        if self.in_fours() {
            rows.next_multiple_of(4)
        } else {
            rows
        }
    }

    /// Where unit `unit` of row `row` lies, in units, of which a row has `units`.
    fn place(&self, row: usize, unit: usize, units: usize) -> usize {
        if self.in_fours() {
            (row / 4 * units + unit) * 4 + row % 4
        } else {
            row * units + unit
        }
    }
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
];

/// The decoders, for kernels that read weights.
pub const FORMAT: Socket = Socket {
    name: "format",
    parts: &[
        &f32::F32.part,
        &f32::F32.textured,
        &f16::F16.part,
        &f16::F16.textured,
        &bf16::BF16.part,
        &bf16::BF16.textured,
        &q4_0::Q4_0.part,
        &q4_0::Q4_0.textured,
        &q4_1::Q4_1.part,
        &q4_1::Q4_1.textured,
        &q5_0::Q5_0.part,
        &q5_0::Q5_0.textured,
        &q5_1::Q5_1.part,
        &q5_1::Q5_1.textured,
        &q8_0::Q8_0.part,
        &q8_0::Q8_0.textured,
    ],
};

/// Those of the decoders that also yield bytes: quantised formats.
pub const BYTES: Socket = Socket {
    name: "format",
    parts: &[
        &q4_0::Q4_0.part,
        &q4_0::Q4_0.textured,
        &q4_1::Q4_1.part,
        &q4_1::Q4_1.textured,
        &q5_0::Q5_0.part,
        &q5_0::Q5_0.textured,
        &q5_1::Q5_1.part,
        &q5_1::Q5_1.textured,
        &q8_0::Q8_0.part,
        &q8_0::Q8_0.textured,
    ],
};

impl Format {
    /// Its weights are integers of at most 8 bits before their scale, and its decoder yields those too.
    pub fn has_bytes(&self) -> bool {
        BYTES
            .parts
            .iter()
            .any(|p| std::ptr::eq(*p, &raw const self.part))
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

    /// Bytes of `rows` in plane `plane`, rounded up to 16.
    pub fn plane_bytes(&self, plane: usize, rows: u32, cols: u32) -> u64 {
        let rows = self.planes[plane].rows(rows);
        let units = u64::from(rows) * u64::from(cols.div_ceil(self.unit()));
        (units * self.planes[plane].halfwords as u64 * 2).next_multiple_of(16)
    }

    /// Packs whole rows; the result has [`Format::plane_bytes`] bytes in each plane.
    pub fn pack_rows(&self, bytes: &[u8], rows: u32, cols: u32) -> Vec<Vec<u16>> {
        let all = |(i, _)| vec![0u16; (self.plane_bytes(i, rows, cols) / 2) as usize];
        let mut planes: Vec<Vec<u16>> = self.planes.iter().enumerate().map(all).collect();
        let unit_bytes = (self.unit() / self.block * self.bytes) as usize;
        let units = cols.div_ceil(self.unit()) as usize;
        for (row, bytes) in bytes.chunks_exact(self.row_bytes(cols)).enumerate() {
            for (i, blocks) in bytes.chunks(unit_bytes).enumerate() {
                let mut slices: Vec<&mut [u16]> = planes
                    .iter_mut()
                    .zip(self.planes)
                    .map(|(plane, own)| {
                        &mut plane[own.place(row, i, units) * own.halfwords..][..own.halfwords]
                    })
                    .collect();
                (self.pack)(blocks, &mut slices);
            }
        }
        planes
    }

    /// Width, height and texel size in bytes of the texture that holds a plane of `bytes`; the last row may not be full.
    pub fn texture(&self, plane: usize, bytes: u64) -> (u32, u32, u32) {
        let own = &self.planes[plane];
        let texel = match plane {
            _ if own.in_fours() => 4 * 2 * own.halfwords as u32,
            0 => 16,
            _ => 4,
        };
        let texels = bytes.div_ceil(u64::from(texel));
        (
            TEXTURE_WIDTH,
            texels.div_ceil(u64::from(TEXTURE_WIDTH)) as u32,
            texel,
        )
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

/// Texels of a row of a texture that holds weights.
pub const TEXTURE_WIDTH: u32 = 4096;

const QUANTS: &str = "w_quants";
const SCALES: &str = "w_scales";
const HIGHS: &str = "w_highs";

// Quants, scales (one f16 or a pair for each group) and high bits, in buffers or textures.
static IN_BUFFERS_Q: &[&Part] = &[&BITS, &PLANE_BUFFERS[0]];
static IN_BUFFERS_QS: &[&Part] = &[&BITS, &PLANE_BUFFERS[0], &PLANE_BUFFERS[1]];
static IN_BUFFERS_QP: &[&Part] = &[&BITS, &PLANE_BUFFERS[0], &PLANE_BUFFERS[2]];
static IN_BUFFERS_QSH: &[&Part] = &[
    &BITS,
    &PLANE_BUFFERS[0],
    &PLANE_BUFFERS[1],
    &PLANE_BUFFERS[3],
];
static IN_BUFFERS_QPH: &[&Part] = &[
    &BITS,
    &PLANE_BUFFERS[0],
    &PLANE_BUFFERS[2],
    &PLANE_BUFFERS[3],
];
static IN_TEXTURES_Q: &[&Part] = &[&BITS, &PLANE_TEXTURES[0]];
static IN_TEXTURES_QS: &[&Part] = &[&BITS, &PLANE_TEXTURES[0], &PLANE_TEXTURES[1]];
static IN_TEXTURES_QP: &[&Part] = &[&BITS, &PLANE_TEXTURES[0], &PLANE_TEXTURES[2]];
static IN_TEXTURES_QSH: &[&Part] = &[
    &BITS,
    &PLANE_TEXTURES[0],
    &PLANE_TEXTURES[1],
    &PLANE_TEXTURES[3],
];
static IN_TEXTURES_QPH: &[&Part] = &[
    &BITS,
    &PLANE_TEXTURES[0],
    &PLANE_TEXTURES[2],
    &PLANE_TEXTURES[3],
];

const fn part(name: &'static str, source: &'static str, uses: &'static [&'static Part]) -> Part {
    Part {
        uses,
        ..Part::new(name, source)
    }
}

/// The bits of an f16.
type Half = u16;

fn half(bits: Half) -> f32 {
    half::f16::from_bits(bits).to_f32()
}

fn halfword(block: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([block[at], block[at + 1]])
}

/// Nibbles as blocks have them (byte j: weight j below weight j + 16) to words of eight: byte j of word i has weight
/// 8 i + j below weight 8 i + 4 + j. So four neighbours are the low or the high halves of a word's bytes.
fn pack_nibbles(nibbles: &[u8], words: &mut [u16]) {
    let q = |i: usize| {
        u16::from(if i < 16 {
            nibbles[i] & 15
        } else {
            nibbles[i - 16] >> 4
        })
    };
    for (i, word) in words.iter_mut().enumerate() {
        let first = i / 2 * 8 + i % 2 * 2;
        let order = [first, first + 4, first + 1, first + 5];
        *word = (0..4).fold(0, |bits, k| bits | q(order[k]) << (4 * k));
    }
}

/// Random bytes, with small scales at the given places, one in eight denormal in f16.
fn random_block(random: &mut Random, block: &mut [u8], scales: &[usize]) {
    block.fill_with(|| random.bits() as u8);
    for &at in scales {
        let size = if random.below(8) == 0 { 3e-5 } else { 0.05 };
        block[at..at + 2]
            .copy_from_slice(&half::f16::from_f32(random.float() * size).to_le_bytes());
    }
}
