// The function of a value or a gate: ACTIVATION is the number of the choice, 0 for none.
const SILU = 1u;    // Elfwing et al. 2018, also called swish
const SIGMOID = 2u; // the logistic function
const GELU = 3u;    // by its tanh form (Hendrycks & Gimpel 2016)
const SOFTPLUS = 4u; // ln(1 + exp(v))
const RELU2 = 5u;   // the square of what is above 0 (So et al. 2021)

// Below -80 SiLU and sigmoid are zero as far as f32 goes, and exp would overflow. Past 15 tanh is 1, and some drivers overflow.
fn activated(v: f32) -> f32 {
    var result = v;
    if ACTIVATION == SILU {
        result = v / (1.0 + exp(-max(v, -80.0)));
    } else if ACTIVATION == SIGMOID {
        result = 1.0 / (1.0 + exp(-max(v, -80.0)));
    } else if ACTIVATION == GELU {
        let inner = 0.7978845608 * v * (1.0 + 0.044715 * v * v);
        result = 0.5 * v * (1.0 + tanh(clamp(inner, -15.0, 15.0)));
    } else if ACTIVATION == SOFTPLUS {
        let beneath = exp(-min(abs(v), 80.0));
        result = max(v, 0.0) + log(1.0 + beneath);
    } else if ACTIVATION == RELU2 {
        result = max(v, 0.0) * max(v, 0.0);
    }
    return result;
}
