// A plane of weights in a texture.
alias Plane = texture_2d<u32>;

fn texel_of(plane: Plane) -> vec2f { return vec2f(1.0); }
fn plane_texel(plane: Plane, texel: vec2f, i: u32) -> vec4u { return textureLoad(plane, vec2u(i & 4095u, i >> 12u), 0); }
