//! BF16: bfloat16: the upper half of an f32.

use super::{Format, IN_BUFFERS_Q, IN_TEXTURES_Q, Plane, QUANTS, halfword, part};

pub static BF16: Format = Format {
    name: "bf16",
    ggml: 30,
    block: 1,
    bytes: 2,
    planes: &[Plane {
        binding: QUANTS,
        halfwords: 32,
    }],
    decode: |b, w| w[0] = half::bf16::from_le_bytes([b[0], b[1]]).to_f32(),
    pack: |bytes, planes| {
        let words = planes[0].iter_mut().take(bytes.len() / 2);
        words
            .enumerate()
            .for_each(|(i, word)| *word = halfword(bytes, 2 * i));
    },
    random: |random, block| {
        block.copy_from_slice(&half::bf16::from_f32(random.float()).to_le_bytes());
    },
    part: part("bf16", include_str!("bf16.wgsl"), IN_BUFFERS_Q),
    textured: part("bf16.texture", include_str!("bf16.wgsl"), IN_TEXTURES_Q),
};
