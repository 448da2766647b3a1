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
    let full = RUN * 8 / BITS;
    std::array::from_fn(|i| {
        let byte = bytes[i / full * RUN + i % RUN];
        byte >> (i % full / RUN * BITS) & ((1 << BITS) - 1)
    })
}

/// Adds fields of `BITS` bits to words that are zero there: byte j of a word has those of weights j, 4 + j, 8 + j… until it
/// is full, the first in the lowest bits. So four neighbours are the same bits of the bytes of a word.
pub(super) fn pack_fields<const BITS: usize>(q: &[u8], words: &mut [u8]) {
    let in_word = 8 / BITS * 4;
    for (i, &q) in q.iter().enumerate() {
        words[i / in_word * 4 + i % 4] |= q << (i % in_word / 4 * BITS);
    }
}

/// Random bytes, with scales at the given places that are `size` at most, one in eight denormal in f16.
pub(super) fn random_block(random: &mut Random, block: &mut [u8], scales: &[usize], size: f32) {
    block.fill_with(|| random.bits() as u8);
    for &at in scales {
        let size = if random.below(8) == 0 { 3e-5 } else { size };
        block[at..at + 2]
            .copy_from_slice(&half::f16::from_f32(random.float() * size).to_le_bytes());
    }
}
