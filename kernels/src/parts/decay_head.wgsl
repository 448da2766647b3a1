// A head's state decays by exp(a softplus(alpha + dt_bias)).
@group(0) @binding(2) var<storage, read> a: array<f32>;       // (value_heads): -exp(A_log)
@group(0) @binding(3) var<storage, read> dt_bias: array<f32>; // (value_heads)

// The logarithm of a row's decay.
fn log_decay(row: u32, head: u32) -> f32 {
    return a[head] * softplus(gates[row * params.gates_stride + params.alpha_start + head] + dt_bias[head]);
}

fn beta_of(row: u32, head: u32) -> f32 {
    return sigmoid(gates[row * params.gates_stride + params.beta_start + head]);
}

fn decay_and_beta(row: u32, head: u32) -> vec2f { return vec2f(exp_of(log_decay(row, head)), beta_of(row, head)); }

// Sums have the decay instead.
fn decayed(s: vec4f, row: u32, head: u32, four: u32) -> vec4f { return s; }
