// The plane of highs in a texture, 4096 texels a row: adapters on the CPU gather from those far faster than from storage.
@group(0) @binding(2) var w_highs: Plane;
var<private> highs_texel: vec2f;

fn highs_begin() { highs_texel = texel_of(w_highs); }
fn high_word(i: u32) -> u32 { return plane_texel(w_highs, highs_texel, i).x; }
