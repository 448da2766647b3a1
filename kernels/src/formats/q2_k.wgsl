// q2_k: w = d s q - dmin m, q of 2 bits; 16 weights share s and m of 4 bits, 256 share d and dmin.
// Planes: quants (groups / 8, 5): for each group two words (bits 2 k of byte j of word i: weight 16 i + 4 k + j), then for
// each two bytes of m above s; qh (groups / 8): f16 d below f16 dmin.
// The min changes within a group, so what `w_group` has is whole weights.

const W_STEP = vec4f(1.0);

fn w_scales_of(four: u32) -> Scales { return Scales(vec4f(1.0), vec4f(0.0)); }

fn w_group(group: u32) -> Group {
    let first = group / 8u * 5u;
    let q = pair_of(quants4(first + group % 8u / 2u), group);
    let sm = half_of(quants4(first + 4u), group % 8u);
    let d = f16x4(vec2u(qh_word(group / 8u), 0u)).xy;
    let scale = d.x * vec2f(vec2i(vec2u(sm, sm >> 8u) & vec2u(15u)));
    let mins = d.y * vec2f(vec2i(vec2u(sm >> 4u, sm >> 12u) & vec2u(15u)));
    let low = scale.x * PLACES;
    let high = scale.y * PLACES;
    return Group(w_four(q.x, low, mins.x), w_four(q.x >> 2u, low, mins.x),
        w_four(q.x >> 4u, low, mins.x), w_four(q.x >> 6u, low, mins.x),
        w_four(q.y, high, mins.y), w_four(q.y >> 2u, high, mins.y),
        w_four(q.y >> 4u, high, mins.y), w_four(q.y >> 6u, high, mins.y));
}

fn w_four(bits: u32, scale: vec4f, w_min: f32) -> vec4f { return bytes_placed(bits & 0x03030303u) * scale - w_min; }
