// RMSNorm (Zhang & Sennrich 2019) of a head that begins at four `first` of x.
@group(0) @binding(6) var<storage, read> norm_weight: array<vec4f>; // (2, head_dim / 4): of queries, of keys

fn head_scale(first: u32) -> f32 {
    var squares = 0.0;
    for (var i = 0u; i < QUARTER; i++) { squares += dot(x[first + i], x[first + i]); }
    return inverseSqrt(squares / f32(HEAD_DIM) + params.eps);
}
fn head_weighed(v: vec4f, four: u32) -> vec4f { return v * norm_weight[four]; }
