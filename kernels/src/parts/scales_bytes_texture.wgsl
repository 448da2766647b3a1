// The plane of scales in a texture, 4096 texels a row, four rows of the matrix in a texel: a byte each.
@group(0) @binding(1) var w_scales: Plane;
var<private> scales_texel: vec2f;

fn scales_begin() { scales_texel = texel_of(w_scales); }
fn scale_bytes(four: u32) -> u32 { return plane_texel(w_scales, scales_texel, four).x; }
