//! MXFP4 (OCP Microscaling Formats 1.0): 32 weights share a power of two: w = 2^(e - 127) v, v a float of 4 bits (E2M1).

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane,
    pack::{fields, pack_fields, random_block},
    part,
    planes::QB,
};

/// A block as files have it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    e: u8,
    quants: [u8; 16],
}
const _: () = assert!(size_of::<Block>() == 17);

/// Twice what the four bits stand for, also in NVFP4.
pub(super) const VALUES: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

pub static MXFP4: Format = Format {
    name: "mxfp4",
    ggml: 39,
    block: 32,
    bytes: 17,
    planes: &[Plane::quants(16), Plane::scales(1, 1)],
    decode,
    pack,
    random: |random, block| {
        random_block(random, block, &[], 0.0);
        // Now and then none but denormals of f32.
        block[0] = if random.below(8) == 0 {
            random.below(3)
        } else {
            112 + random.below(12)
        } as u8;
    },
    part: part("mxfp4", include_str!("mxfp4.wgsl"), QB),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    // 2^(e - 128), of which the least two are denormal.
    let bits = match u32::from(b.e) {
        e @ 0..2 => 0x0020_0000 << e,
        e => (e - 1) << 23,
    };
    let d = f32::from_bits(bits);
    let q = fields::<4, 16, 32>(&b.quants);
    w.iter_mut()
        .zip(q)
        .for_each(|(w, q)| *w = d * f32::from(VALUES[usize::from(q)]));
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    let q = fields::<4, 16, 32>(&b.quants).map(by_size);
    pack_fields::<4>(&q, &mut planes[0]);
    planes[1][0] = b.e;
}

/// The place of a float of four bits by its size, as `e2m1` on the GPU takes it: the negative come first, and both zeros are one.
pub(super) fn by_size(q: u8) -> u8 {
    if q < 8 { 8 + q } else { 16 - q }
}
