// The plane of quants in a texture, 4096 texels a row: adapters on the CPU gather from those far faster than from storage.
@group(0) @binding(0) var w_quants: Plane;
var<private> quants_texel: vec2f;

fn quants_begin() { quants_texel = texel_of(w_quants); }
fn quants4(i: u32) -> vec4u { return plane_texel(w_quants, quants_texel, i); }
