// Four lanes, each with rows of its own, read 32 activations together: lane i the i-th of each four, which it then shows the
// others. SwiftShader reads neighbours in one go, and one at a time what all lanes want.

fn x_of_lane(place: u32, lane: u32) -> OfLane {
    return OfLane(
        vec4f(x[place].a[lane], x[place].b[lane], x[place].c[lane], x[place].d[lane]),
        vec4f(x[place].e[lane], x[place].f[lane], x[place].g[lane], x[place].h[lane]));
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
