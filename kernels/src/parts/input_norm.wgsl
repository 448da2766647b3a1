// RMSNorm on the way in (Zhang & Sennrich 2019): W (x g / rms) = (W (x g)) / rms, so the scale waits until the end.
fn input_weigh(x: vec4f, i: u32) -> vec4f { return x * norm_weight[i]; }
fn input_square(x: vec4f) -> f32 { return dot(x, x); }
fn input_scale(squares: f32, at: Invocation) -> f32 {
    return inverseSqrt(reduce_sum(squares, at) / f32(params.cols) + params.eps);
}
