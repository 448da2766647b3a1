//! F16: 16-bit floats (IEEE 754 binary16).

use super::{Format, IN_BUFFERS_Q, IN_TEXTURES_Q, Plane, QUANTS, halfword, part};

pub static F16: Format = Format {
    name: "f16",
    ggml: 1,
    block: 1,
    bytes: 2,
    planes: &[Plane {
        binding: QUANTS,
        halfwords: 32,
    }],
    decode: |b, w| w[0] = half::f16::from_le_bytes([b[0], b[1]]).to_f32(),
    pack: |bytes, planes| {
        let words = planes[0].iter_mut().take(bytes.len() / 2);
        words
            .enumerate()
            .for_each(|(i, word)| *word = halfword(bytes, 2 * i));
    },
    random: |random, block| {
        block.copy_from_slice(&half::f16::from_f32(random.float()).to_le_bytes());
    },
    part: part("f16", include_str!("f16.wgsl"), IN_BUFFERS_Q),
    textured: part("f16.texture", include_str!("f16.wgsl"), IN_TEXTURES_Q),
};
