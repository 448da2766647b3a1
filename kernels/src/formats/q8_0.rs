//! Q8_0: 32 weights share a scale: w = d q, q a signed byte.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane,
    pack::{Half, half, random_block},
    part,
    planes::QS,
};

/// A block as files have it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    d: Half,
    quants: [i8; 32],
}
const _: () = assert!(size_of::<Block>() == 34);

pub static Q8_0: Format = Format {
    name: "q8_0",
    ggml: 8,
    block: 32,
    bytes: 34,
    planes: &[Plane::quants(32), Plane::scales(2, 1)],
    decode,
    pack,
    random: |random, block| random_block(random, block, &[0], 0.05),
    part: part("q8_0", include_str!("q8_0.wgsl"), QS),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let d = half(b.d);
    w.iter_mut()
        .zip(b.quants)
        .for_each(|(w, q)| *w = d * f32::from(q));
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    planes[0].copy_from_slice(bytemuck::bytes_of(&b.quants));
    planes[1].copy_from_slice(&b.d.to_le_bytes());
}
