//! Q6_K: 256 weights share d, 16 of them s, a signed byte: w = d s (q - 32), q of 6 bits, two of them kept apart.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane,
    pack::{Half, fields, half, pack_fields, random_block},
    part,
    planes::QS,
};

/// A block as files have it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    quants: [u8; 128],
    high: [u8; 64],
    scales: [i8; 16],
    d: Half,
}
const _: () = assert!(size_of::<Block>() == 210);

pub static Q6_K: Format = Format {
    name: "q6_k",
    ggml: 14,
    block: 256,
    bytes: 210,
    planes: &[Plane::quants(208), Plane::scales(2, 1)],
    decode,
    pack,
    random: |random, block| random_block(random, block, &[208], 0.0005),
    part: part("q6_k", include_str!("q6_k.wgsl"), QS),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let d = half(b.d);
    let (low, high) = (
        fields::<4, 64, 256>(&b.quants),
        fields::<2, 32, 256>(&b.high),
    );
    for (i, w) in w.iter_mut().enumerate() {
        let q = f32::from(low[i] + 16 * high[i]) - 32.0;
        *w = d * f32::from(b.scales[i / 16]) * q;
    }
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    let (quants, rest) = planes[0].split_at_mut(128);
    let (high, scales) = rest.split_at_mut(64);
    pack_fields::<4>(&fields::<4, 64, 256>(&b.quants), quants);
    pack_fields::<2>(&fields::<2, 32, 256>(&b.high), high);
    scales.copy_from_slice(bytemuck::bytes_of(&b.scales));
    planes[1].copy_from_slice(&b.d.to_le_bytes());
}
