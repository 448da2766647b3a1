// Activations in a uniform buffer, for one token: software adapters read those many times faster at a shared index.
@group(0) @binding(3) var<uniform> x: array<vec4f, X_LENGTH>;   // (padded cols / 4)

fn x_start(length: u32) -> u32 { return 0u; }
