// GELU by the error function (Hendrycks & Gimpel 2016): v times half of erfc(-v / sqrt 2). erfc is a fit of Chebyshev's whose
// relative error stays below 1.2e-7 (Press et al., Numerical Recipes, section 6.2).
fn activated(v: f32) -> f32 {
    let z = abs(v) * 0.70710678;
    let t = 1.0 / fma(0.5, z, 1.0);
    var sum = fma(0.17087277, t, -0.82215223);
    sum = fma(sum, t, 1.48851587);
    sum = fma(sum, t, -1.13520398);
    sum = fma(sum, t, 0.27886807);
    sum = fma(sum, t, -0.18628806);
    sum = fma(sum, t, 0.09678418);
    sum = fma(sum, t, 0.37409196);
    sum = fma(sum, t, 1.00002368);
    sum = fma(sum, t, -1.26551223);
    let half = 0.5 * t * exp(fma(-z, z, sum));
    return v * select(1.0 - half, half, v < 0.0);
}
