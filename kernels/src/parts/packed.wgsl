// 32 activations as pairs of signed bytes: x = scale (256 high + low), and total is the sum of x. Eight bits alone would
// cost SmolLM2's logits an NMSE of 3e-3.
struct Packed { high: Bytes, low: Bytes, scale: f32, total: f32 }

// The sum of the products of 32 weights with 256 high + low; at most 32 × 2^7 × 2^15.
fn products(w: Bytes, high: Bytes, low: Bytes) -> i32 {
    return (product(w, high) << 8u) + product(w, low);
}

fn product(w: Bytes, v: Bytes) -> i32 {
    return dot4I8Packed(w.a.x, v.a.x) + dot4I8Packed(w.a.y, v.a.y) + dot4I8Packed(w.a.z, v.a.z) + dot4I8Packed(w.a.w, v.a.w)
        + dot4I8Packed(w.b.x, v.b.x) + dot4I8Packed(w.b.y, v.b.y) + dot4I8Packed(w.b.z, v.b.z) + dot4I8Packed(w.b.w, v.b.w);
}
