//! IQ2_XXS: 256 weights share d, 32 of them s of 4 bits: w = d / 8 (2 s + 1) v, v one of ±8, ±25, ±43; a code of 8 bits
//! stands for eight sizes, one of 7 for their signs. Packing resolves both, so that on the GPU a weight takes 3.31 bits instead
//! of 2.06, and those of IQ2_XS and IQ2_S the same.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane,
    grids::{self, signs},
    pack::{Half, half, pack_fields, random_block},
    part,
    planes::QSH,
};

/// A block as files have it: of each 32 weights four codes of sizes, then four codes of signs below s.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    d: Half,
    groups: [[u8; 8]; 8],
}
const _: () = assert!(size_of::<Block>() == 66);

impl Block {
    fn resolved(&self) -> Resolved {
        let (mut scales, mut quants) = ([0; 8], [0; 256]);
        for (i, group) in self.groups.iter().enumerate() {
            let [codes @ .., a, b, c, e] = group;
            let rest = u32::from_le_bytes([*a, *b, *c, *e]);
            scales[i] = (rest >> 28) as u8 * 0x11;
            for (k, &code) in codes.iter().enumerate() {
                let signs = signs((rest >> (7 * k) & 127) as u8);
                quants[32 * i + 8 * k..][..8]
                    .copy_from_slice(&places(grids::IQ2_XXS[usize::from(code)], signs));
            }
        }
        Resolved {
            d: self.d,
            scales,
            quants,
        }
    }
}

pub static IQ2_XXS: Format = Format {
    name: "iq2_xxs",
    ggml: 16,
    block: 256,
    bytes: 66,
    planes: PLANES,
    decode: |block, w| pod_read_unaligned::<Block>(block).resolved().decode(w),
    pack: |block, planes| pod_read_unaligned::<Block>(block).resolved().pack(planes),
    random: |random, block| random_block(random, block, &[0], 0.005),
    part: part("iq2_xxs", include_str!("iq2_xxs.wgsl"), QSH),
};

/// The packed form, also that of IQ2_XS and IQ2_S.
pub(super) const PLANES: &[Plane] = &[Plane::quants(96), Plane::scales(2, 1), Plane::qh(8)];

/// A block with its codes resolved, of any of the three types.
pub(super) struct Resolved {
    pub d: Half,
    /// s of each 16 weights, two in a byte.
    pub scales: [u8; 8],
    /// The place of each weight's v in [`VALUES`].
    pub quants: [u8; 256],
}

/// Values that a weight may have before its scale.
const VALUES: [i8; 6] = [-43, -25, -8, 8, 25, 43];

/// Places in [`VALUES`] of eight neighbours, from their sizes of two bits and from the bits that are set where they are negative.
pub(super) fn places(sizes: u16, signs: u8) -> [u8; 8] {
    std::array::from_fn(|i| {
        let size = (sizes >> (2 * i) & 3) as u8;
        if signs >> i & 1 == 1 {
            2 - size
        } else {
            3 + size
        }
    })
}

impl Resolved {
    pub fn decode(&self, w: &mut [f32]) {
        let d = half(self.d) / 8.0;
        for (i, w) in w.iter_mut().enumerate() {
            let s = self.scales[i / 32] >> (i / 16 % 2 * 4) & 15;
            let v = VALUES[usize::from(self.quants[i])];
            *w = d * f32::from(2 * s + 1) * f32::from(v);
        }
    }

    pub fn pack(&self, planes: &mut [Vec<u8>]) {
        let (low, high) = planes[0].split_at_mut(64);
        pack_fields::<2>(&self.quants.map(|q| q & 3), low);
        pack_fields::<1>(&self.quants.map(|q| q >> 2), high);
        planes[1].copy_from_slice(&self.d.to_le_bytes());
        planes[2].copy_from_slice(&self.scales);
    }
}
