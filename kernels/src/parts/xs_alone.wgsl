// Every lane reads the activations of a group by itself.
fn x_group(place: u32, at: Invocation) -> Group { return x[place]; }
