// SiLU (Elfwing et al. 2018), also called swish.
fn activated(v: f32) -> f32 { return v / (1.0 + exp(-v)); }
