// The plane of quants in a storage buffer.
@group(0) @binding(0) var<storage, read> w_quants: array<vec4u>;

fn quants4(i: u32) -> vec4u { return w_quants[i]; }
