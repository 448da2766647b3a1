//! BF16: bfloat16: the upper half of an f32.

use super::{Format, Plane, part, planes::Q};

pub static BF16: Format = Format {
    name: "bf16",
    ggml: 30,
    block: 1,
    bytes: 2,
    planes: &[Plane::quants(64)],
    decode: |b, w| w[0] = half::bf16::from_le_bytes([b[0], b[1]]).to_f32(),
    pack: |bytes, planes| planes[0][..bytes.len()].copy_from_slice(bytes),
    random: |random, block| {
        block.copy_from_slice(&half::bf16::from_f32(random.float()).to_le_bytes());
    },
    part: part("bf16", include_str!("bf16.wgsl"), Q),
};
