// SiLU (Elfwing et al. 2018), also called swish. Below -80 it is zero as far as f32 goes, and exp would overflow.
fn activated(v: f32) -> f32 { return v / (1.0 + exp(-max(v, -80.0))); }
