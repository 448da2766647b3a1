// GELU by its tanh form (Hendrycks & Gimpel 2016). Past 15 tanh is 1, and some drivers overflow.
fn activated(v: f32) -> f32 {
    let inner = 0.7978845608 * v * (1.0 + 0.044715 * v * v);
    return 0.5 * v * (1.0 + tanh(clamp(inner, -15.0, 15.0)));
}
