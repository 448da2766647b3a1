// The plane of scales in a storage buffer.
@group(0) @binding(1) var<storage, read> w_scales: array<u32>;

fn scale_word(i: u32) -> u32 { return w_scales[i]; }
