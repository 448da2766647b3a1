// The plane of highs in a storage buffer.
@group(0) @binding(2) var<storage, read> w_highs: array<u32>;

fn high_word(i: u32) -> u32 { return w_highs[i]; }
