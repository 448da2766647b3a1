// RMSNorm on the way in (Zhang & Sennrich 2019): W (x g / rms) = (W (x g)) / rms, so the scale waits until the end.
fn input_weigh(x: Group, i: u32) -> Group {
    return Group(x.a * norm_weight[i][0], x.b * norm_weight[i][1], x.c * norm_weight[i][2], x.d * norm_weight[i][3],
        x.e * norm_weight[i][4], x.f * norm_weight[i][5], x.g * norm_weight[i][6], x.h * norm_weight[i][7]);
}
fn input_weigh_four(x: vec4f, four: u32) -> vec4f { return x * norm_weight[four / 8u][four % 8u]; }
fn input_weigh_lane(x: OfLane, i: u32, lane: u32) -> OfLane {
    return OfLane(
        x.low * vec4f(norm_weight[i][0][lane], norm_weight[i][1][lane], norm_weight[i][2][lane], norm_weight[i][3][lane]),
        x.high * vec4f(norm_weight[i][4][lane], norm_weight[i][5][lane], norm_weight[i][6][lane], norm_weight[i][7][lane]));
}
fn input_square(x: vec4f) -> f32 { return dot(x, x); }
fn input_scale(squares: f32, at: Invocation, wg: Workgroup) -> f32 {
    return inverseSqrt(reduce_sum(squares, at, wg) / f32(params.cols) + params.eps);
}
