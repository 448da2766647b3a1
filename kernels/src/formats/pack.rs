//! Weights as files have them to integers, one a byte, and those to the words that decoders on the GPU read.

use crate::random::Random;

/// The bits of an f16.
pub(super) type Half = u16;

pub(super) fn half(bits: Half) -> f32 {
    half::f16::from_bits(bits).to_f32()
}

/// Fields of `BITS` bits as blocks have them, one a byte: those of `RUN` neighbours lie in the lowest bits of `RUN` bytes,
/// those of the next in the bits above, until the bytes are full.
pub(super) fn fields<const BITS: usize, const RUN: usize, const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut all = [0; N];
    let full = all.chunks_exact_mut(RUN * 8 / BITS);
    for (bytes, q) in bytes.chunks_exact(RUN).zip(full) {
        for (k, q) in q.chunks_exact_mut(RUN).enumerate() {
            for (q, byte) in q.iter_mut().zip(bytes) {
                *q = byte >> (k * BITS) & ((1 << BITS) - 1);
            }
        }
    }
    all
}

/// Fields of `BITS` bits to words: byte j of a word has those of weights j, 4 + j, 8 + j… until it is full, the first in the
/// lowest bits. So four neighbours are the same bits of the bytes of a word.
pub(super) fn pack_fields<const BITS: usize>(q: &[u8], words: &mut [u8]) {
    for (word, q) in words.chunks_exact_mut(4).zip(q.chunks_exact(32 / BITS)) {
        let fours = q.chunks_exact(4).enumerate();
        let joined = fours.fold(0, |joined, (k, q)| {
            joined | u32::from_le_bytes([q[0], q[1], q[2], q[3]]) << (k * BITS)
        });
        word.copy_from_slice(&joined.to_le_bytes());
    }
}

/// Random bytes, with scales as [`random_half`] makes them at the given places.
pub(super) fn random_block(random: &mut Random, block: &mut [u8], scales: &[usize], size: f32) {
    block.fill_with(|| random.bits() as u8);
    for &at in scales {
        block[at..at + 2].copy_from_slice(&random_half(random, size).to_le_bytes());
    }
}

/// A random scale that is `size` at most, one in eight denormal.
pub(super) fn random_half(random: &mut Random, size: f32) -> half::f16 {
    let size = if random.below(8) == 0 { 3e-5 } else { size };
    half::f16::from_f32(random.float() * size)
}
