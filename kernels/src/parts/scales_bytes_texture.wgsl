// The plane of scales in a texture, 4096 texels a row, four rows of the matrix in a texel: a byte each.
@group(0) @binding(1) var w_scales: texture_2d<u32>;

fn scale_bytes(four: u32) -> u32 { return textureLoad(w_scales, vec2u(four & 4095u, four >> 12u), 0).x; }
