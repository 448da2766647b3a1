//! F32: 32-bit floats.

use super::{Format, Plane, part, planes::Q};

pub static F32: Format = Format {
    name: "f32",
    ggml: 0,
    block: 1,
    bytes: 4,
    planes: &[Plane::quants(128)],
    decode: |b, w| w[0] = f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
    pack: |bytes, planes| planes[0][..bytes.len()].copy_from_slice(bytes),
    random: |random, block| block.copy_from_slice(&random.float().to_le_bytes()),
    part: part("f32", include_str!("f32.wgsl"), Q),
};
