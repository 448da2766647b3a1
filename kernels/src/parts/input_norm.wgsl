// RMSNorm on the way in (Zhang & Sennrich 2019): W (x g / rms) = (W (x g)) / rms, so the scale waits until the end.
fn input_weigh(x: Group, i: u32) -> Group {
    let g = norm_weight[i];
    return Group(x.a * g.a, x.b * g.b, x.c * g.c, x.d * g.d, x.e * g.e, x.f * g.f, x.g * g.g, x.h * g.h);
}
fn input_weigh_lane(x: OfLane, i: u32, lane: u32) -> OfLane {
    return OfLane(
        x.low * vec4f(norm_weight[i].a[lane], norm_weight[i].b[lane], norm_weight[i].c[lane], norm_weight[i].d[lane]),
        x.high * vec4f(norm_weight[i].e[lane], norm_weight[i].f[lane], norm_weight[i].g[lane], norm_weight[i].h[lane]));
}
fn input_square(x: vec4f) -> f32 { return dot(x, x); }
fn input_scale(squares: f32, at: Invocation, wg: Workgroup) -> f32 {
    return inverseSqrt(reduce_sum(squares, at, wg) / f32(params.cols) + params.eps);
}
