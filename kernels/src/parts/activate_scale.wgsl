// Times a factor.
fn activated(v: f32) -> f32 { return params.factor * v; }
