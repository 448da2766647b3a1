//! Q4_K: 256 weights share d and dmin, 32 of them s and m of 6 bits: w = d s q - dmin m, q of 4 bits.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane,
    pack::{Half, fields, half, pack_fields, random_block},
    part,
    planes::QP,
};

/// A block as files have it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    scales: Scales,
    quants: [u8; 128],
}
const _: () = assert!(size_of::<Block>() == 144);

/// Scales of a block, also those of Q5_K.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Scales {
    d: Half,
    dmin: Half,
    own: [u8; 12],
}

impl Scales {
    /// d, dmin, then s and m of each group.
    pub(super) const PLANE: Plane = Plane::scales(2, 10);

    /// s and m of each group: six bits of the first four lie in eight bytes; the others have four in the four bytes behind
    /// them, and two above those six.
    fn groups(&self) -> [(u8, u8); 8] {
        let own = &self.own;
        std::array::from_fn(|i| {
            if i < 4 {
                (own[i] & 63, own[i + 4] & 63)
            } else {
                let (s, m) = (own[i + 4] & 15, own[i + 4] >> 4);
                (s | own[i - 4] >> 6 << 4, m | own[i] >> 6 << 4)
            }
        })
    }

    /// The weights, from their integers.
    pub(super) fn weights(&self, q: &[u8; 256], w: &mut [f32]) {
        let (d, dmin, groups) = (half(self.d), half(self.dmin), self.groups());
        for (i, w) in w.iter_mut().enumerate() {
            let (s, m) = groups[i / 32];
            *w = d * f32::from(s) * f32::from(q[i]) - dmin * f32::from(m);
        }
    }

    /// Into [`Scales::PLANE`].
    pub(super) fn pack(&self, plane: &mut [u8]) {
        let (whole, own) = plane.split_at_mut(4);
        whole.copy_from_slice(bytemuck::bytes_of(&[self.d, self.dmin]));
        for (bytes, (s, m)) in own.chunks_exact_mut(2).zip(self.groups()) {
            bytes.copy_from_slice(&[s, m]);
        }
    }
}

pub static Q4_K: Format = Format {
    name: "q4_k",
    ggml: 12,
    block: 256,
    bytes: 144,
    planes: &[Plane::quants(128), Scales::PLANE],
    decode,
    pack,
    random: |random, block| random_block(random, block, &[0, 2], 0.002),
    part: part("q4_k", include_str!("q4_k.wgsl"), QP),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    b.scales.weights(&fields::<4, 32, 256>(&b.quants), w);
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    pack_fields::<4>(&fields::<4, 32, 256>(&b.quants), &mut planes[0]);
    b.scales.pack(&mut planes[1]);
}
