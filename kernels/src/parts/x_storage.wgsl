// Activations in a storage buffer: the last token's row.
@group(0) @binding(3) var<storage, read> x: array<vec4f>;       // (tokens, padded cols / 4)

fn x_start(length: u32) -> u32 { return (state.count - 1u) * length; }
