// Soft-capping (Gemma 2 report, section 2): values stay within +-cap. Past 15 tanh is 1, and some drivers overflow.
fn activated(v: f32) -> f32 { return params.factor * tanh(clamp(v / params.factor, -15.0, 15.0)); }
