// The plane of quants in a texture, 4096 texels a row: adapters on the CPU gather from those far faster than from storage.
@group(0) @binding(0) var w_quants: texture_2d<u32>;

fn quants4(i: u32) -> vec4u { return textureLoad(w_quants, vec2u(i & 4095u, i >> 12u), 0); }
