//! Planes of the packed form, where they lie, and the parts that read them.

use crate::{
    Part,
    parts::{BITS, PLANE_QH, PLANE_QUANTS, PLANE_SCALES_1, PLANE_SCALES_2, PLANE_SCALES_4},
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
}

impl Plane {
    /// Plane of the quants, most of a weight's bits: `bytes` of a unit.
    pub(super) const fn quants(bytes: usize) -> Plane {
        Plane {
            binding: "w_quants",
            bytes,
            runs: 1,
            in_fours: false,
        }
    }

    /// Bits that quants have no room for, in words: `bytes` of a unit.
    pub(super) const fn qh(bytes: usize) -> Plane {
        Plane {
            binding: "w_qh",
            ..Plane::quants(bytes)
        }
    }

    /// Scales of four rows together: `runs` of `bytes` of a unit.
    pub(super) const fn scales(bytes: usize, runs: usize) -> Plane {
        Plane {
            binding: "w_scales",
            bytes,
            runs,
            in_fours: true,
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
    pub(super) fn size(&self, rows: u32, units: u32) -> u64 {
        let rows = rows.next_multiple_of(self.wide() as u32);
        u64::from(rows) * u64::from(units) * self.unit_bytes() as u64
    }

    /// Puts unit `unit` of row `row`, of which a row has `units`, into its place.
    pub(super) fn put(
        &self,
        plane: &mut [u8],
        packed: &[u8],
        row: usize,
        (unit, units): (usize, usize),
    ) {
        let wide = self.wide();
        let place = row / wide * units + unit;
        for (i, run) in packed.chunks_exact(self.bytes).enumerate() {
            let run_index = (place * self.runs + i) * wide + row % wide;
            copy(run, &mut plane[run_index * self.bytes..]);
        }
    }
}

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

// The parts that a decoder reads its planes with, by which planes it has.
/// Quants.
pub(super) static Q: &[&Part] = &[&BITS, &PLANE_QUANTS];
/// Quants, and scales of 2 bytes: f16.
pub(super) static QS: &[&Part] = &[&BITS, &PLANE_QUANTS, &PLANE_SCALES_2];
/// Quants, and scales of 4 bytes: pairs of f16.
pub(super) static QP: &[&Part] = &[&BITS, &PLANE_QUANTS, &PLANE_SCALES_4];
/// Quants, and scales of a byte.
pub(super) static QB: &[&Part] = &[&BITS, &PLANE_QUANTS, &PLANE_SCALES_1];
/// Quants and qh.
pub(super) static QH: &[&Part] = &[&BITS, &PLANE_QUANTS, &PLANE_QH];
/// Quants, scales of 2 bytes, qh.
pub(super) static QSH: &[&Part] = &[&BITS, &PLANE_QUANTS, &PLANE_SCALES_2, &PLANE_QH];
/// Quants, scales of 4 bytes, qh.
pub(super) static QPH: &[&Part] = &[&BITS, &PLANE_QUANTS, &PLANE_SCALES_4, &PLANE_QH];
