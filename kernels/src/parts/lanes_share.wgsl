// Four lanes, each with rows of its own, read 32 activations together: lane i the i-th of each four, which it then shows the
// others. SwiftShader reads neighbours in one go, and one at a time what all lanes want.

fn x_of_lane(place: u32, lane: u32) -> OfLane {
    return OfLane(
        vec4f(x[place][0][lane], x[place][1][lane], x[place][2][lane], x[place][3][lane]),
        vec4f(x[place][4][lane], x[place][5][lane], x[place][6][lane], x[place][7][lane]));
}

// Group that the four lanes have together.
fn all_lanes(v: OfLane) -> Group {
    return Group(shown(v.low.x), shown(v.low.y), shown(v.low.z), shown(v.low.w),
        shown(v.high.x), shown(v.high.y), shown(v.high.z), shown(v.high.w));
}
fn shown(v: f32) -> vec4f {
    return vec4f(subgroupBroadcast(v, 0u), subgroupBroadcast(v, 1u), subgroupBroadcast(v, 2u), subgroupBroadcast(v, 3u));
}
fn lanes_sum(v: f32) -> f32 {
    let all = shown(v);
    return all.x + all.y + all.z + all.w;
}
