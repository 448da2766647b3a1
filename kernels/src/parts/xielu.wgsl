// xIELU (Huang et al. 2024, arXiv 2411.13010): a parabola above 0, and beneath it the integral of an exponential unit.
fn activated(v: f32) -> f32 {
    var result = params.alpha_p * v * v + params.beta * v;
    if v <= 0.0 {
        let least = min(v, params.eps);
        // exp(x) - 1 without cancellation near 0, by its series.
        let near = least * (1.0 + least * (0.5 + least * (0.16666667 + least * 0.041666668)));
        result = params.alpha_n * (select(exp(max(least, -80.0)) - 1.0, near, least > -0.05) - v) + params.beta * v;
    }
    return result;
}
