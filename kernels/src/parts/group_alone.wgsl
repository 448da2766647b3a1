// Every lane reads the activations of a group by itself. A group is one element of x: compilers that check indices then check one.
fn group_first(at: Invocation) -> u32 { return at.lane % LANES_PER_ROW; }

fn x_group(place: u32, i: u32, at: Invocation) -> Activations {
    let x = x[place];
    let squares = input_square(x.a) + input_square(x.b) + input_square(x.c) + input_square(x.d)
        + input_square(x.e) + input_square(x.f) + input_square(x.g) + input_square(x.h);
    let v = input_weigh(x, i);
    let total = v.a + v.b + v.c + v.d + v.e + v.f + v.g + v.h;
    return Activations(stepped(v), total.x + total.y + total.z + total.w, squares);
}
