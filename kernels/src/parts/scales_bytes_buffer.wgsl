// The plane of scales in a storage buffer, four rows together: a byte each.
@group(0) @binding(1) var<storage, read> w_scales: array<u32>;

fn scale_bytes(four: u32) -> u32 { return w_scales[four]; }
