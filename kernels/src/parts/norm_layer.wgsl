// LayerNorm (Ba et al. 2016): around the mean.
fn norm_mean(from_x: u32, to_y: u32, at: Invocation, wg: Workgroup) -> f32 {
    var sum = 0.0;
    for (var col = at.lane; col < params.cols; col += WORKGROUP_SIZE) { sum += norm_input(from_x + col, to_y + col); }
    return reduce_sum(sum, at, wg) / f32(params.cols);
}
