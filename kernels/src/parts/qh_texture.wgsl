// The plane of qh in a texture, 4096 texels a row: adapters on the CPU gather from those far faster than from storage.
@group(0) @binding(2) var w_qh: Plane;
var<private> qh_texel: vec2f;

fn qh_begin() { qh_texel = texel_of(w_qh); }
fn qh_word(i: u32) -> u32 { return plane_texel(w_qh, qh_texel, i).x; }
