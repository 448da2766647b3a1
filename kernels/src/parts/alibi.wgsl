// Attention with linear biases (Press et al. 2022): slopes fall from head to head by the same factor, to 2^-max_bias. Where the
// number of heads is no power of two, those past the largest one have the slopes between, from the first on.
fn scored(v: f32, head: u32, position: u32, key: u32) -> f32 {
    let even = 1u << firstLeadingBit(params.kv_heads * GROUP);
    let step = select(f32(head - even) + 0.5, f32(head + 1u), head < even);
    let slope = exp2(-params.max_bias * step / f32(even));
    return v - slope * f32(max(position, key) - min(position, key));
}
