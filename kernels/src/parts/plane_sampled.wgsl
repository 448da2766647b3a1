// A plane of weights in a texture, for browsers: Tint, Chrome's compiler, bounds what `textureLoad` reads by two queries of
// the texture each time, which cost SwiftShader more than to sample the nearest texel. The bits of a word come back as they are.
alias Plane = texture_2d<f32>;
@group(0) @binding(11) var plane_nearest: sampler;

// Size of a texel, where the texture's width and height are 1 and 1.
fn texel_of(plane: Plane) -> vec2f { return 1.0 / vec2f(textureDimensions(plane)); }

fn plane_texel(plane: Plane, texel: vec2f, i: u32) -> vec4u {
    let middle = vec2f(vec2u(i & 4095u, i >> 12u)) + 0.5;
    return bitcast<vec4u>(textureSampleLevel(plane, plane_nearest, middle * texel, 0.0));
}
