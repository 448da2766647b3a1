// quantise: activations as pairs of signed bytes, 32 sharing a scale, for products of integers.
// A workgroup for each token, or for the last alone; lanes stride over groups of 32. Bound: reads x.
// Sockets: input; reduce comes with the variant.

struct Params { cols: u32, eps: f32, last: u32 }

@group(0) @binding(3) var<storage, read> x: array<Group>;               // (tokens, groups)
@group(0) @binding(4) var<storage, read_write> packed: array<Packed>;   // (tokens, groups): or (1, groups)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let groups = (params.cols + 31u) / 32u;
    let start = select(wg.id.y, rows.count - 1u, params.last == 1u) * groups;
    var squares = 0.0;
    for (var group = at.lane; group < groups; group += WORKGROUP_SIZE) {
        let v = x[start + group];
        squares += input_square(v.a) + input_square(v.b) + input_square(v.c) + input_square(v.d)
            + input_square(v.e) + input_square(v.f) + input_square(v.g) + input_square(v.h);
    }
    let scale = input_scale(squares, at, wg);
    for (var group = at.lane; group < groups; group += WORKGROUP_SIZE) {
        packed[wg.id.y * groups + group] = bytes_of(input_weigh(x[start + group], group), scale);
    }
}

// The largest becomes ±32512, which is 256 × 127. What is too small to divide by becomes zeros.
fn bytes_of(v: Group, scale: f32) -> Packed {
    let four = max(max(max(abs(v.a), abs(v.b)), max(abs(v.c), abs(v.d))), max(max(abs(v.e), abs(v.f)), max(abs(v.g), abs(v.h))));
    let amax = max(max(four.x, four.y), max(four.z, four.w));
    let up = select(0.0, 32512.0 / amax, amax > 1e-30);
    let a = vec4i(round(v.a * up));
    let b = vec4i(round(v.b * up));
    let c = vec4i(round(v.c * up));
    let d = vec4i(round(v.d * up));
    let e = vec4i(round(v.e * up));
    let f = vec4i(round(v.f * up));
    let g = vec4i(round(v.g * up));
    let h = vec4i(round(v.h * up));
    let low = Bytes(vec4u(low4(a), low4(b), low4(c), low4(d)), vec4u(low4(e), low4(f), low4(g), low4(h)));
    let high = Bytes(vec4u(high4(a), high4(b), high4(c), high4(d)), vec4u(high4(e), high4(f), high4(g), high4(h)));
    let total = a + b + c + d + e + f + g + h;
    let step = amax * (1.0 / 32512.0) * scale;
    return Packed(high, low, step, step * f32(total.x + total.y + total.z + total.w));
}

// The low bytes of four, signed; and what then remains of them.
fn low4(v: vec4i) -> u32 { return pack4xI8(v); }
fn high4(v: vec4i) -> u32 { return pack4xI8((v + vec4i(128)) >> vec4u(8u)); }
