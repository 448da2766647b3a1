//! TQ1_0: 256 weights share a scale: w = d (q - 1), q of 0, 1, 2, five to a byte. On the GPU they take two bits, as those of
//! TQ2_0 do, instead of 1.6.

use bytemuck::pod_read_unaligned;

use super::{
    Format,
    pack::{Half, random_block},
    part,
    planes::QS,
    tq2_0::{PLANES, pack_weights, weights},
};

/// A block as files have it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    quants: [u8; 48],
    high: [u8; 4],
    d: Half,
}
const _: () = assert!(size_of::<Block>() == 54);

impl Block {
    /// A byte is a fraction of 256 whose digits to base 3 are q: the first of 32 bytes, then the second of those…, then
    /// those of 16 bytes and of the last four, which have only four.
    fn digits(&self) -> [u8; 256] {
        let mut all = [0; 256];
        let (most, last) = all.split_at_mut(240);
        let (first, second) = most.split_at_mut(160);
        let (bytes, more) = self.quants.split_at(32);
        for (bytes, digits) in [(bytes, first), (more, second), (&self.high, last)] {
            for (i, &byte) in bytes.iter().enumerate() {
                let mut rest = byte;
                for digit in digits[i..].iter_mut().step_by(bytes.len()) {
                    *digit = (u16::from(rest) * 3 / 256) as u8;
                    rest = rest.wrapping_mul(3);
                }
            }
        }
        all
    }
}

pub static TQ1_0: Format = Format {
    name: "tq1_0",
    ggml: 34,
    block: 256,
    bytes: 54,
    planes: PLANES,
    decode,
    pack,
    random: |random, block| random_block(random, block, &[52], 0.05),
    part: part("tq1_0", include_str!("tq2_0.wgsl"), QS),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    weights(b.d, &b.digits(), w);
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    pack_weights(b.d, &b.digits(), planes);
}
