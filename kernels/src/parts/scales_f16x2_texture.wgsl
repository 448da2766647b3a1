// The plane of scales in a texture, 4096 texels a row, four rows of the matrix in a texel: 4 bytes each.
@group(0) @binding(1) var w_scales: Plane;
var<private> scales_texel: vec2f;

fn scales_begin() { scales_texel = texel_of(w_scales); }
fn scale_words(four: u32) -> vec4u { return plane_texel(w_scales, scales_texel, four); }
