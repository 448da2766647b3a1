// RMSNorm of b and of c (Jamba, Lieber et al. 2024); their weights lie behind the numbers of channels.
const SELECTED_WEIGHTS = HEAD_DIM * (STATE_DIM + 2u);

// What brings b and c to a mean square of 1.
fn selected_scales() -> vec2f {
    var squares = vec2f();
    for (var j = 0u; j < STATE_FOURS; j++) { squares += vec2f(dot(b4(j), b4(j)), dot(c4(j), c4(j))); }
    return inverseSqrt(squares / f32(STATE_DIM) + params.eps);
}

// Four neighbours of b, the first of the two, or of c. Past the end, where slices are longer, they are zeros.
fn selected(v: vec4f, which: u32, four: u32, scales: vec2f) -> vec4f {
    let place = SELECTED_WEIGHTS + which * STATE_DIM + 4u * min(four, STATE_FOURS - 1u);
    let weight = vec4f(a_d_bias[place], a_d_bias[place + 1u], a_d_bias[place + 2u], a_d_bias[place + 3u]);
    return v * weight * scales[which];
}
