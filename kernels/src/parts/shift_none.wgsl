fn shifted(v: f32, col: u32) -> f32 { return v; }
