// The logistic function. Below -80 it is zero as far as f32 goes, and exp would overflow.
fn activated(v: f32) -> f32 { return 1.0 / (1.0 + exp(-max(v, -80.0))); }
