// Soft-capping (Gemma 2 report, section 2). Past 15 tanh is 1, and some drivers overflow.
fn scored(v: f32) -> f32 { return params.cap * tanh(clamp(v / params.cap, -15.0, 15.0)); }
