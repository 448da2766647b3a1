// The plane of scales in a texture, 4096 texels a row, four rows of the matrix in a texel: 4 bytes each.
@group(0) @binding(1) var w_scales: texture_2d<u32>;

fn scale_words(four: u32) -> vec4u { return textureLoad(w_scales, vec2u(four & 4095u, four >> 12u), 0); }
