// Every lane reads the activations of a group by itself.
fn x_group(start: u32, group: u32, at: Invocation) -> Activations {
    if GROUPS % LANES_PER_ROW != 0u && group >= GROUPS { return Activations(); }
    let x = x_of(start + group);
    let squares = input_square(x.a) + input_square(x.b) + input_square(x.c) + input_square(x.d)
        + input_square(x.e) + input_square(x.f) + input_square(x.g) + input_square(x.h);
    return activations(input_weigh(x, group), squares);
}
