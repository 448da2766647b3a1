//! Planes of the packed form, where they lie, and the parts that read them.

use crate::{
    Part,
    parts::{BITS, PLACES_ROWS, PLACES_STRIPS, PLANE_BUFFERS, PLANE_TEXTURES},
};

/// A part of the packed form with a binding of its own.
#[derive(Debug)]
pub struct Plane {
    /// The binding's name.
    pub binding: &'static str,
    /// Bytes of a unit of weights, see [`super::Format::unit`]: those of a run, and how many runs.
    pub bytes: usize,
    /// See `bytes`.
    pub runs: usize,
    /// A run of each of four rows lies together, so that who has four rows fetches them at once; and there are four always.
    in_fours: bool,
    /// Bytes of a texel, where it is a texture: what the decoder reads at once.
    pub(super) texel: u32,
}

impl Plane {
    /// Plane of the quants, most of a weight's bits: `bytes` of a unit.
    pub(super) const fn quants(bytes: usize) -> Plane {
        Plane {
            binding: "w_quants",
            bytes,
            runs: 1,
            in_fours: false,
            texel: 16,
        }
    }

    /// Bits that quants have no room for, in words: `bytes` of a unit.
    pub(super) const fn qh(bytes: usize) -> Plane {
        Plane {
            binding: "w_qh",
            texel: 4,
            ..Plane::quants(bytes)
        }
    }

    /// Scales of four rows together: `runs` of `bytes` of a unit, read `texel` bytes at a time.
    pub(super) const fn scales(bytes: usize, runs: usize, texel: u32) -> Plane {
        Plane {
            binding: "w_scales",
            bytes,
            runs,
            in_fours: true,
            texel,
        }
    }

    /// Bytes of a unit.
    pub(super) const fn unit_bytes(&self) -> usize {
        self.bytes * self.runs
    }

    /// Rows whose runs lie together.
    pub const fn wide(&self) -> usize {
        if self.in_fours { 4 } else { 1 }
    }

    /// Bytes of `rows` that have `units` each.
    pub(super) fn size(&self, order: Order, rows: u32, units: u32) -> u64 {
        let together = match order {
            Order::Rows => self.wide() as u32,
            Order::Strips => STRIP,
        };
        let rows = rows.next_multiple_of(together);
        u64::from(rows) * u64::from(units) * self.unit_bytes() as u64
    }

    /// Puts unit `unit` of row `row`, of which a row has `units`, into its place.
    pub(super) fn put(
        &self,
        order: Order,
        plane: &mut [u8],
        packed: &[u8],
        row: usize,
        (unit, units): (usize, usize),
    ) {
        let wide = self.wide();
        let line = row / wide;
        let place = match order {
            Order::Rows => line * units + unit,
            Order::Strips => {
                // Of a lane's lines the first of all lanes, then the second …
                let (all, own) = (STRIP as usize / wide, 8 / wide);
                (line / all * units + unit) * all + line % own * 8 + line / own % 8
            }
        };
        for (i, run) in packed.chunks_exact(self.bytes).enumerate() {
            let run_index = (place * self.runs + i) * wide + row % wide;
            copy(run, &mut plane[run_index * self.bytes..]);
        }
    }
}

/// How the rows of a packed matrix lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// One after the other, or in fours: in buffers.
    Rows,
    /// [`STRIP`] rows together, a unit of each after the other, as 8 lanes with 8 rows each read them: in textures.
    Strips,
}

/// Rows of a strip.
pub const STRIP: u32 = 64;

/// Copies a run; sizes that most have are known to the compiler, which is several times faster than a call for each.
fn copy(run: &[u8], to: &mut [u8]) {
    fn some<const N: usize>(run: &[u8], to: &mut [u8]) {
        to[..N].copy_from_slice(&run[..N]);
    }
    match run.len() {
        2 => some::<2>(run, to),
        4 => some::<4>(run, to),
        16 => some::<16>(run, to),
        32 => some::<32>(run, to),
        other => to[..other].copy_from_slice(run),
    }
}

/// Texels of a row of a texture that holds weights.
pub const TEXTURE_WIDTH: u32 = 4096;

/// WGSL of the call that must come before plane `PLANE_TEXTURES[i]` is read.
macro_rules! begin {
    (0) => {
        "quants_begin(); "
    };
    (4) => {
        "qh_begin(); "
    };
    ($scales:literal) => {
        "scales_begin(); "
    };
}

/// Parts that a decoder reads its planes with: in buffers, and in textures. Kernels call `w_begin` before they read any.
macro_rules! planes {
    ($($(#[$doc:meta])* $name:ident: [$($i:tt)*];)*) => {
        $($(#[$doc])* pub(super) static $name: [&[&Part]; 2] =
            [
                &[
                    &BITS,
                    &PLACES_ROWS,
                    $(&PLANE_BUFFERS[$i],)*
                    &Part::new("", "fn w_begin() { }\n"),
                ],
                &[
                    &BITS,
                    &PLACES_STRIPS,
                    $(&PLANE_TEXTURES[$i],)*
                    &Part::new("", concat!("fn w_begin() { ", $(begin!($i),)* "}\n")),
                ],
            ];)*
    };
}

planes! {
    /// Quants.
    Q: [0];
    /// Quants, and scales of 2 bytes: f16.
    QS: [0 1];
    /// Quants, and scales of 4 bytes: pairs of f16.
    QP: [0 2];
    /// Quants, and scales of a byte.
    QB: [0 3];
    /// Quants and qh.
    QH: [0 4];
    /// Quants, scales of 2 bytes, qh.
    QSH: [0 1 4];
    /// Quants, scales of 4 bytes, qh.
    QPH: [0 2 4];
}
