// The activations of a group, which the lanes of a workgroup read in the order of memory, each with what meets them there, and
// hand to each other.
fn x_group(start: u32, group: u32, at: Invocation) -> Activations {
    let first = (group - at.lane) * 8u;
    var squares = 0.0;
    workgroupBarrier(); // what was handed over before is read
    for (var i = 0u; i < 8u; i++) {
        let own = i * WORKGROUP_SIZE + at.lane;
        let four = first + own;
        var v = vec4f(0.0);
        if four < X_LENGTH {
            v = x[start + four / 8u][four % 8u];
            squares += input_square(v);
            v = input_weigh_four(v, four);
        }
        stage_put(0u, own, v);
    }
    workgroupBarrier();
    return activations(staged(0u, at.lane), squares);
}
