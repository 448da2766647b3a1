// The plane of scales in a texture, 4096 texels a row: adapters on the CPU gather from those far faster than from storage.
@group(0) @binding(1) var w_scales: texture_2d<u32>;

fn scale_word(i: u32) -> u32 { return textureLoad(w_scales, vec2u(i & 4095u, i >> 12u), 0).x; }
