// The activations of a group, which four lanes read together.
fn group_first(at: Invocation) -> u32 { return 0u; }

fn reduce_sum(v: f32, at: Invocation, wg: Workgroup) -> f32 { return v; }

fn x_group(place: u32, i: u32, at: Invocation) -> Activations {
    let x = x_of_lane(place, at.lane);
    let v = input_weigh_lane(x, i, at.lane);
    let step = W_STEP[at.lane];
    let sum = v.low + v.high;
    return Activations(all_lanes(OfLane(v.low * step, v.high * step)), lanes_sum(sum.x + sum.y + sum.z + sum.w),
        lanes_sum(input_square(x.low) + input_square(x.high)));
}
