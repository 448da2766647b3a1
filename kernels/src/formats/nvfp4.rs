//! NVFP4: 16 weights share a scale s, a float of 8 bits (E4M3): w = s v, v a float of 4 bits (E2M1). A file's factor for the
//! whole matrix, where it has one, is another tensor.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane,
    mxfp4::{VALUES, by_size},
    pack::{fields, half, pack_fields, random_block},
    part,
    planes::QH,
};

/// A block as files have it: four times 16 weights.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    scales: [u8; 4],
    quants: [[u8; 8]; 4],
}
const _: () = assert!(size_of::<Block>() == 36);

impl Block {
    /// s without what would be a sign, and 0 where it is the one bit pattern that is no number.
    fn scales(&self) -> [u8; 4] {
        self.scales.map(|s| if s == 0x7f { 0 } else { s & 0x7f })
    }

    fn quants(&self) -> [u8; 64] {
        bytemuck::cast(self.quants.map(|q| fields::<4, 8, 16>(&q)))
    }
}

pub static NVFP4: Format = Format {
    name: "nvfp4",
    ggml: 40,
    block: 64,
    bytes: 36,
    planes: &[Plane::quants(32), Plane::qh(4)],
    decode,
    pack,
    random: |random, block| {
        random_block(random, block, &[], 0.0);
        // One in four denormal.
        block[..4].fill_with(|| random.below(32) as u8);
    },
    part: part("nvfp4", include_str!("nvfp4.wgsl"), QH),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    // An f16 has the same bits one place further left and 8 more in its exponent; `VALUES` are twice v.
    let s = b.scales().map(|s| half(u16::from(s) << 7) * 128.0);
    for (i, (w, q)) in w.iter_mut().zip(b.quants()).enumerate() {
        *w = s[i / 16] * f32::from(VALUES[usize::from(q)]);
    }
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    pack_fields::<4>(&b.quants().map(by_size), &mut planes[0]);
    planes[1].copy_from_slice(&b.scales());
}
