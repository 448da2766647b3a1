// Four lanes read the activations of a group together.
fn x_group(place: u32, at: Invocation) -> Group { return all_lanes(x_of_lane(place, at.lane)); }
