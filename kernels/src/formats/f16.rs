//! F16: 16-bit floats (IEEE 754 binary16).

use super::{Format, Plane, part, planes::Q};

pub static F16: Format = Format {
    name: "f16",
    ggml: 1,
    block: 1,
    bytes: 2,
    planes: &[Plane::quants(64)],
    decode: |b, w| w[0] = half::f16::from_le_bytes([b[0], b[1]]).to_f32(),
    pack: |bytes, planes| planes[0][..bytes.len()].copy_from_slice(bytes),
    random: |random, block| {
        block.copy_from_slice(&half::f16::from_f32(random.float()).to_le_bytes());
    },
    part: part("f16", include_str!("f16.wgsl"), Q),
};
