// Activations as they are.
fn input_weigh(x: vec4f, i: u32) -> vec4f { return x; }
fn input_square(x: vec4f) -> f32 { return 0.0; }
fn input_scale(squares: f32, at: Invocation) -> f32 { return 1.0; }
