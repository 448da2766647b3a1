//! IQ2_S: 256 weights share d, 16 of them s of 4 bits: w = d / 8 (2 s + 1) v, v as in IQ2_XXS; a code of 10 bits stands for
//! eight sizes, and each weight has its sign.

use bytemuck::pod_read_unaligned;

use super::{
    Format, grids,
    iq2_xxs::{PLANES, Resolved, places},
    pack::{Half, fields, random_block},
    part,
    planes::QSH,
};

/// A block as files have it: two bits of each code lie apart.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    d: Half,
    codes: [u8; 32],
    signs: [u8; 32],
    high: [u8; 8],
    scales: [u8; 8],
}
const _: () = assert!(size_of::<Block>() == 82);

impl Block {
    fn resolved(&self) -> Resolved {
        let high = fields::<2, 1, 32>(&self.high);
        let eights: [[u8; 8]; 32] = std::array::from_fn(|i| {
            let code = usize::from(self.codes[i]) | usize::from(high[i]) << 8;
            places(grids::IQ2_S[code], self.signs[i])
        });
        Resolved {
            d: self.d,
            scales: self.scales,
            quants: bytemuck::cast(eights),
        }
    }
}

pub static IQ2_S: Format = Format {
    name: "iq2_s",
    ggml: 22,
    block: 256,
    bytes: 82,
    planes: PLANES,
    decode: |block, w| pod_read_unaligned::<Block>(block).resolved().decode(w),
    pack: |block, planes| pod_read_unaligned::<Block>(block).resolved().pack(planes),
    random: |random, block| random_block(random, block, &[0], 0.005),
    part: part("iq2_s", include_str!("iq2_xxs.wgsl"), QSH),
};
