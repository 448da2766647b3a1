//! IQ3_XXS: 256 weights share d, 32 of them s of 4 bits: w = d / 4 (2 s + 1) v; a code of 8 bits stands for four of the sizes 4,
//! 12, 20, 28, 36, 44, 52, 62, one of 7 for eight signs. Packing resolves both, so that on the GPU a weight takes 4.31 bits
//! instead of 3.06.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane,
    grids::{self, signs},
    pack::{Half, half, pack_fields, random_block},
    part,
    planes::QS,
};

/// A block as files have it; `rest` has, of each 32 weights, four codes of signs below s.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    d: Half,
    codes: [u8; 64],
    rest: [[u8; 4]; 8],
}
const _: () = assert!(size_of::<Block>() == 98);

/// Half of the sizes that three bits stand for.
const SIZES: [u8; 8] = [2, 6, 10, 14, 18, 22, 26, 31];

impl Block {
    /// 2 s + 1 of each group.
    fn scales(&self) -> [u8; 8] {
        self.rest.map(|rest| 2 * (rest[3] >> 4) + 1)
    }

    /// The place of each weight's v from -62 to 62.
    fn quants(&self) -> [u8; 256] {
        std::array::from_fn(|i| {
            let rest = u32::from_le_bytes(self.rest[i / 32]);
            let signs = signs((rest >> (i / 8 % 4 * 7) & 127) as u8);
            let code = usize::from(self.codes[i / 4]);
            let size = (grids::IQ3_XXS[code] >> (i % 4 * 3) & 7) as u8;
            if signs >> (i % 8) & 1 == 1 {
                7 - size
            } else {
                8 + size
            }
        })
    }
}

pub static IQ3_XXS: Format = Format {
    name: "iq3_xxs",
    ggml: 18,
    block: 256,
    bytes: 98,
    planes: &[Plane::quants(128), Plane::scales(2, 5)],
    decode,
    pack,
    random: |random, block| random_block(random, block, &[0], 0.002),
    part: part("iq3_xxs", include_str!("iq3_xxs.wgsl"), QS),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let (d, s, q) = (half(b.d) / 2.0, b.scales(), b.quants());
    for (i, w) in w.iter_mut().enumerate() {
        let v = match q[i] {
            q @ 0..8 => -f32::from(SIZES[usize::from(7 - q)]),
            q => f32::from(SIZES[usize::from(q - 8)]),
        };
        *w = d * f32::from(s[i / 32]) * v;
    }
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    pack_fields::<4>(&b.quants(), &mut planes[0]);
    planes[1][..2].copy_from_slice(&b.d.to_le_bytes());
    planes[1][2..].copy_from_slice(&b.scales());
}
