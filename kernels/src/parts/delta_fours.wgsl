// Four rows of a chunk of the gated delta rule at once.

// Where keys, or queries, of the four rows from `first` + 4 `i4` on lie; the last of `count` in the place of those behind it.
fn places(i4: u32, start: u32, head: u32, first: u32, count: u32) -> vec4u {
    let i = min(vec4u(i4 * 4u) + vec4u(0u, 1u, 2u, 3u), vec4u(count - 1u)) + vec4u(first);
    return vec4u(key_place(0u, start, head)) + i * (params.qkv_stride / 4u);
}

// Four products of keys with `k`, added to `sums`.
fn products(from_qkv: vec4u, k: vec4f, sums: vec4f) -> vec4f {
    return vec4f(
        fma4(qkv[from_qkv.x], k, sums.x),
        fma4(qkv[from_qkv.y], k, sums.y),
        fma4(qkv[from_qkv.z], k, sums.z),
        fma4(qkv[from_qkv.w], k, sums.w),
    );
}

fn fma4(x: vec4f, y: vec4f, sum: f32) -> f32 { return fma(x.x, y.x, fma(x.y, y.y, fma(x.z, y.z, fma(x.w, y.w, sum)))); }
