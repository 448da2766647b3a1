// Activations in a storage buffer: the last token's row.
@group(0) @binding(3) var<storage, read> x: array<Group>;       // (tokens, padded cols / 32)

fn x_start(length: u32) -> u32 { return (rows.count - 1u) * length; }
