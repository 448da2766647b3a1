// A head's matrix transposed: a lane has a group of its columns, over all rows, four at a time.
const RESULTS = 32u;
fn results_of_head() -> u32 { return params.cols; }
fn inputs_of_head() -> u32 { return params.rows; }

fn put_results(lane: u32, head: Head) {
    let groups = col_groups();
    var sums = Group();
    for (var row = 0u; row < params.rows; row += 4u) {
        let place = head.row + row;
        let four = place / 4u * groups + lane;
        let w_rows = (vec4u(place) + vec4u(0u, 1u, 2u, 3u)) * groups + lane;
        let v = x[head.from_x + row / 4u];
        let s = w_scales_of(four);
        let offset = vec4f(dot(s.min, v));
        let factors = s.scale * v;
        sums = added(sums, w_group(w_rows.x), factors.x * W_STEP, offset);
        sums = added(sums, w_group(w_rows.y), factors.y * W_STEP, vec4f(0.0));
        sums = added(sums, w_group(w_rows.z), factors.z * W_STEP, vec4f(0.0));
        sums = added(sums, w_group(w_rows.w), factors.w * W_STEP, vec4f(0.0));
    }
    let first = 8u * lane;
    put_four(head, first, sums.a);
    put_four(head, first + 1u, sums.b);
    put_four(head, first + 2u, sums.c);
    put_four(head, first + 3u, sums.d);
    put_four(head, first + 4u, sums.e);
    put_four(head, first + 5u, sums.f);
    put_four(head, first + 6u, sums.g);
    put_four(head, first + 7u, sums.h);
}

fn added(sums: Group, w: Group, factor: vec4f, more: vec4f) -> Group {
    return Group(
        fma(w.a, factor, sums.a + more), fma(w.b, factor, sums.b + more),
        fma(w.c, factor, sums.c + more), fma(w.d, factor, sums.d + more),
        fma(w.e, factor, sums.e + more), fma(w.f, factor, sums.f + more),
        fma(w.g, factor, sums.g + more), fma(w.h, factor, sums.h + more),
    );
}

// Results past the last column are of no weights.
fn put_four(head: Head, i: u32, v: vec4f) {
    if i < params.cols / 4u { y[head.to_y + i] = v; }
}
