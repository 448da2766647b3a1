//! F32: 32-bit floats.

use super::{Format, IN_BUFFERS_Q, IN_TEXTURES_Q, Plane, QUANTS, halfword, part};

pub static F32: Format = Format {
    name: "f32",
    ggml: 0,
    block: 1,
    bytes: 4,
    planes: &[Plane {
        binding: QUANTS,
        halfwords: 64,
    }],
    decode: |b, w| w[0] = f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
    pack: |bytes, planes| {
        let words = planes[0].iter_mut().take(bytes.len() / 2);
        words
            .enumerate()
            .for_each(|(i, word)| *word = halfword(bytes, 2 * i));
    },
    random: |random, block| block.copy_from_slice(&random.float().to_le_bytes()),
    part: part("f32", include_str!("f32.wgsl"), IN_BUFFERS_Q),
    textured: part("f32.texture", include_str!("f32.wgsl"), IN_TEXTURES_Q),
};
