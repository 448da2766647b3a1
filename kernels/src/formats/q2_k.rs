//! Q2_K: 256 weights share d and dmin, 16 of them s and m of 4 bits: w = d s q - dmin m, q of 2 bits.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane,
    pack::{Half, fields, half, pack_fields, random_block},
    part,
    planes::QH,
};

/// A block as files have it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    /// m above s.
    scales: [u8; 16],
    quants: [u8; 64],
    d: Half,
    dmin: Half,
}
const _: () = assert!(size_of::<Block>() == 84);

pub static Q2_K: Format = Format {
    name: "q2_k",
    ggml: 10,
    block: 256,
    bytes: 84,
    planes: &[Plane::quants(80), Plane::qh(4)],
    decode,
    pack,
    random: |random, block| random_block(random, block, &[80, 82], 0.005),
    part: part("q2_k", include_str!("q2_k.wgsl"), QH),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let (d, dmin) = (half(b.d), half(b.dmin));
    let q = fields::<2, 32, 256>(&b.quants);
    for (i, w) in w.iter_mut().enumerate() {
        let (s, m) = (b.scales[i / 16] & 15, b.scales[i / 16] >> 4);
        *w = d * f32::from(s) * f32::from(q[i]) - dmin * f32::from(m);
    }
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    let (quants, scales) = planes[0].split_at_mut(64);
    pack_fields::<2>(&fields::<2, 32, 256>(&b.quants), quants);
    scales.copy_from_slice(&b.scales);
    planes[1].copy_from_slice(bytemuck::bytes_of(&[b.d, b.dmin]));
}
