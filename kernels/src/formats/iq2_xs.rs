//! IQ2_XS: 256 weights share d, 16 of them s of 4 bits: w = d / 8 (2 s + 1) v, v as in IQ2_XXS; a code of 9 bits stands for
//! eight sizes, one of 7 for their signs.

use bytemuck::pod_read_unaligned;

use super::{
    Format,
    grids::{self, signs},
    iq2_xxs::{PLANES, Resolved, places},
    pack::{Half, random_block},
    part,
    planes::QSH,
};

/// A block as files have it: codes of signs above those of sizes.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    d: Half,
    codes: [u16; 32],
    scales: [u8; 8],
}
const _: () = assert!(size_of::<Block>() == 74);

impl Block {
    fn resolved(&self) -> Resolved {
        let eight = |code: u16| {
            let sizes = grids::IQ2_XS[usize::from(code & 511)];
            places(sizes, signs((code >> 9) as u8))
        };
        Resolved {
            d: self.d,
            scales: self.scales,
            quants: bytemuck::cast(self.codes.map(eight)),
        }
    }
}

pub static IQ2_XS: Format = Format {
    name: "iq2_xs",
    ggml: 17,
    block: 256,
    bytes: 74,
    planes: PLANES,
    decode: |block, w| pod_read_unaligned::<Block>(block).resolved().decode(w),
    pack: |block, planes| pod_read_unaligned::<Block>(block).resolved().pack(planes),
    random: |random, block| random_block(random, block, &[0], 0.005),
    part: part("iq2_xs", include_str!("iq2_xxs.wgsl"), QSH),
};
