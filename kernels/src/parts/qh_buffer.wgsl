// The plane of qh in a storage buffer.
@group(0) @binding(2) var<storage, read> w_qh: array<u32>;

fn qh_word(i: u32) -> u32 { return w_qh[i]; }
