// The activations of a group, which four lanes read together.
fn reduce_sum(v: f32, at: Invocation, wg: Workgroup) -> f32 { return v; }
fn reduce_sum4(v: vec4f, at: Invocation, wg: Workgroup) -> vec4f { return v; }

fn x_group(start: u32, group: u32, at: Invocation) -> Activations {
    let x = x_of_lane(start + group, at.lane);
    let v = input_weigh_lane(x, group, at.lane);
    let step = W_STEP[at.lane];
    let sum = v.low + v.high;
    return Activations(all_lanes(OfLane(v.low * step, v.high * step)), lanes_sum(sum.x + sum.y + sum.z + sum.w),
        lanes_sum(input_square(x.low) + input_square(x.high)));
}
