// The plane of highs in a texture, 4096 texels a row: adapters on the CPU gather from those far faster than from storage.
@group(0) @binding(2) var w_highs: texture_2d<u32>;

fn high_word(i: u32) -> u32 { return textureLoad(w_highs, vec2u(i & 4095u, i >> 12u), 0).x; }
