// A head's matrix as it is: a lane has four rows of it.
const RESULTS = 4u;
fn results_of_head() -> u32 { return params.rows; }
fn inputs_of_head() -> u32 { return params.cols; }

fn put_results(lane: u32, head: Head) {
    let groups = col_groups();
    let place = head.row + 4u * lane;
    let w_rows = (vec4u(place) + vec4u(0u, 1u, 2u, 3u)) * groups;
    var sums = vec4f(0.0);
    for (var group = 0u; group < groups; group++) {
        let v = x_group(head, 8u * group);
        let total = v.a + v.b + v.c + v.d + v.e + v.f + v.g + v.h;
        let s = w_scales_of(place / 4u * groups + group);
        sums = fma(s.scale, row_dots(w_rows + group, stepped(v)), sums);
        sums = fma(s.min, vec4f(total.x + total.y + total.z + total.w), sums);
    }
    y[head.to_y + lane] = sums;
}

// 32 inputs from four `i` on; past the last column zeros.
fn x_group(head: Head, i: u32) -> Group {
    return Group(x_four(head, i), x_four(head, i + 1u), x_four(head, i + 2u), x_four(head, i + 3u),
        x_four(head, i + 4u), x_four(head, i + 5u), x_four(head, i + 6u), x_four(head, i + 7u));
}
fn x_four(head: Head, i: u32) -> vec4f {
    let fours = params.cols / 4u;
    return select(vec4f(0.0), x[head.from_x + min(i, fours - 1u)], i < fours);
}
