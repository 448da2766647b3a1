//! How far what a GPU computes may be from the CPU reference, and how that is measured.

use half::f16;

use crate::{Case, Variant, quantise, store};

/// Largest difference of an output from the reference's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// Words are equal.
    Exact,
    /// Words are f32, with a normalised mean square error (NMSE) of at most this.
    F32(f64),
    /// Words are pairs of f16, with an NMSE of at most this.
    F16(f64),
    /// Words are quantised blocks of a cache, `words` each, with an NMSE of at most `nmse`.
    Blocks {
        /// Words of a block.
        words: usize,
        /// Largest NMSE.
        nmse: f64,
    },
    /// Words are activations that `quantise` packed: one integer in twenty may be one off, scales and sums by a hundred
    /// thousandth.
    Packed,
}

/// NMSE of f32 arithmetic in another order: what any kernel is allowed where nothing is rounded to fewer bits.
pub const F32_NMSE: f64 = 1e-11;

/// Tolerance of kernels whose every output is f32.
pub fn f32(_: &Case, _: &Variant, _: &str) -> Tolerance {
    Tolerance::F32(F32_NMSE)
}

/// Tolerance of kernels whose every output is exact.
pub fn exact(_: &Case, _: &Variant, _: &str) -> Tolerance {
    Tolerance::Exact
}

/// Tolerance of linear layers: f16 tiles round both factors to 11 bits.
pub fn linear(case: &Case, variant: &Variant, _: &str) -> Tolerance {
    let f16 = variant.parts.iter().chain(&case.parts).any(|part| part.f16);
    Tolerance::F32(if f16 { 1e-6 } else { F32_NMSE })
}

impl Tolerance {
    /// The NMSE of `got` against `wanted`, 0 where words are compared as integers, and what is wrong, if anything.
    pub fn check(self, got: &[u32], wanted: &[u32]) -> (f64, Option<String>) {
        let (error, max) = match self {
            Tolerance::Exact => return (0.0, (got != wanted).then(|| "differs".to_owned())),
            Tolerance::Packed => return (0.0, packed(got, wanted)),
            Tolerance::F32(max) => {
                let floats = bytemuck::cast_slice::<u32, f32>;
                (nmse(floats(got), floats(wanted)), max)
            }
            Tolerance::F16(max) => (nmse(&f16s(got), &f16s(wanted)), max),
            Tolerance::Blocks { words, nmse: max } => {
                let decoded = |all: &[u32]| store::decode(all, words);
                (nmse(&decoded(got), &decoded(wanted)), max)
            }
        };
        // Not `>`: an error that is no number is over anything.
        let within = error <= max;
        let problem = (!within).then(|| format!("NMSE {error:.2e} is over {max:.0e}"));
        (error, problem)
    }
}

/// The f16 that lie in pairs in words.
fn f16s(words: &[u32]) -> Vec<f32> {
    let bits = words.iter().flat_map(|&w| [w as u16, (w >> 16) as u16]);
    bits.map(|b| f16::from_bits(b).to_f32()).collect()
}

/// How packed activations differ. A driver that divides less exactly may round to the other neighbour: one in twenty at
/// most. Scales and sums differ by what f32 does to them, and where they are tiny by all.
fn packed(got: &[u32], wanted: &[u32]) -> Option<String> {
    let groups = |words| <[u32]>::chunks_exact(words, quantise::PACKED_WORDS as usize);
    let (mut off, mut all) = (0, 0);
    for (group, (got, wanted)) in groups(got).zip(groups(wanted)).enumerate() {
        let pairs = quantise::integers(got)
            .into_iter()
            .zip(quantise::integers(wanted));
        let apart: Vec<u32> = pairs.map(|(a, b)| a.abs_diff(b)).collect();
        let here = apart.iter().filter(|&&d| d > 0).count();
        let (a, b) = (
            quantise::scale_and_total(got),
            quantise::scale_and_total(wanted),
        );
        let near = |a: f64, b: f64, room: f64| (a - b).abs() <= 1e-5 * b.abs() + room + 1e-36;
        let sums = near(a.1, b.1, here as f64 * b.0.abs());
        if apart.iter().any(|&d| d > 1) || !near(a.0, b.0, 0.0) || !sums {
            return Some(format!("group {group} is {got:x?}, not {wanted:x?}"));
        }
        (off, all) = (off + here, all + apart.len());
    }
    (off * 20 > all).then(|| format!("{off} of {all} are one off"))
}

/// Normalised mean square error: sum((a-b)^2) / sum(b^2).
fn nmse(a: &[f32], b: &[f32]) -> f64 {
    let square = |v: f64| v * v;
    let pairs = a.iter().zip(b);
    let error: f64 = pairs
        .map(|(&a, &b)| square(f64::from(a) - f64::from(b)))
        .sum();
    let scale: f64 = b.iter().map(|&b| square(f64::from(b))).sum();
    if error == 0.0 { 0.0 } else { error / scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(tolerance: Tolerance, got: &[u32], wanted: &[u32]) -> bool {
        tolerance.check(got, wanted).1.is_some()
    }

    #[test]
    fn what_is_off_by_more_than_allowed_is_wrong() {
        let words = |v: [f32; 2]| v.map(f32::to_bits);
        let (one, near, far) = (words([1.0, 2.0]), words([1.0, 2.0001]), words([1.0, 2.1]));
        let f32s = Tolerance::F32(1e-8);
        assert!(!wrong(f32s, &one, &one) && !wrong(f32s, &near, &one));
        assert!(wrong(f32s, &far, &one) && wrong(Tolerance::Exact, &near, &one));
        assert!(wrong(f32s, &words([f32::NAN, 2.0]), &one));
        let halves = |v: [f32; 2]| {
            let [a, b] = v.map(|v| u32::from(f16::from_f32(v).to_bits()));
            [a | b << 16]
        };
        let f16s = Tolerance::F16(1e-7);
        assert!(!wrong(f16s, &halves([1.0, 2.0]), &halves([1.0, 2.0])));
        assert!(wrong(f16s, &halves([1.0, 2.01]), &halves([1.0, 2.0])));
    }
}
