fn activated(v: f32) -> f32 { return v; }
