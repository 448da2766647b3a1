// Functions of states that many rows go through, to about one ULP: what one of them is off by grows with every row.
fn sigmoid(x: f32) -> f32 {
    let e = exp_of(-abs(x));
    return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

// log(1 + exp(x)). WGSL's log may be off by 2^-21 near one, so log(1 + e) = 2 atanh(e / (2 + e)) by its series, up to 1/3.
fn softplus(x: f32) -> f32 {
    let e = exp_of(-abs(x));
    let z = e / (2.0 + e);
    let w = z * z;
    let tail = 1.0 / 9.0 + w * (1.0 / 11.0 + w * (1.0 / 13.0 + w / 15.0));
    let series = 1.0 + w * (1.0 / 3.0 + w * (1.0 / 5.0 + w * (1.0 / 7.0 + w * tail)));
    return max(x, 0.0) + 2.0 * z * series;
}

// exp of x <= 0, to about one ULP: WGSL's may be off by 3 + 2 |x|, and what a decay is off by grows with every row.
// By powers of two (ln 2 in two parts, Cody & Waite 1980) and a Taylor polynomial up to ln 2 / 2.
fn exp_of(x: f32) -> f32 {
    let bounded = max(x, -87.0);
    let n = round(bounded * 1.44269504);
    let r = (bounded - n * 0.693145752) - n * 1.42860677e-6;
    let tail = 1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r / 5040.0));
    let p = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * tail)));
    return p * bitcast<f32>(u32(i32(n) + 127) << 23u);
}
