// f32: weights as they are.
@group(0) @binding(0) var<storage, read> w_quants: array<vec4f>; // (groups, 8)

fn w_scale(group: u32) -> vec2f { return vec2f(1.0, 0.0); }

fn w_group(group: u32) -> Group {
    let i = group * 8u;
    return Group(w_quants[i], w_quants[i + 1u], w_quants[i + 2u], w_quants[i + 3u],
        w_quants[i + 4u], w_quants[i + 5u], w_quants[i + 6u], w_quants[i + 7u]);
}
