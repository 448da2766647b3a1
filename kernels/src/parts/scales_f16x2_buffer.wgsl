// The plane of scales in a storage buffer, four rows together: 4 bytes each.
@group(0) @binding(1) var<storage, read> w_scales: array<vec4u>;

fn scale_words(four: u32) -> vec4u { return w_scales[four]; }
