// bf16: weights in pairs, the upper halves of f32.
@group(0) @binding(0) var<storage, read> w_quants: array<vec4u>; // (groups, 4)

fn w_scale(group: u32) -> vec2f { return vec2f(1.0, 0.0); }

fn w_four(bits: vec2u) -> vec4f {
    return bitcast<vec4f>(vec4u(bits.x << 16u, bits.x & 0xffff0000u, bits.y << 16u, bits.y & 0xffff0000u));
}

fn w_group(group: u32) -> Group {
    let i = group * 4u;
    let a = w_quants[i];
    let b = w_quants[i + 1u];
    let c = w_quants[i + 2u];
    let d = w_quants[i + 3u];
    return Group(w_four(a.xy), w_four(a.zw), w_four(b.xy), w_four(b.zw),
        w_four(c.xy), w_four(c.zw), w_four(d.xy), w_four(d.zw));
}
