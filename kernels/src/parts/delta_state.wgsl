// The state of the gated delta rule, (sequences, value_heads, KEY_DIM, VALUE_DIM).

// Four neighbouring keys of the column at `place`.
fn read_state(place: u32, four: u32) -> vec4f {
    let from_state = place + four * 4u * VALUE_DIM;
    return vec4f(
        delta_state[from_state],
        delta_state[from_state + VALUE_DIM],
        delta_state[from_state + 2u * VALUE_DIM],
        delta_state[from_state + 3u * VALUE_DIM],
    );
}

fn write_state(place: u32, four: u32, v: vec4f) {
    let to_state = place + four * 4u * VALUE_DIM;
    delta_state[to_state] = v.x;
    delta_state[to_state + VALUE_DIM] = v.y;
    delta_state[to_state + 2u * VALUE_DIM] = v.z;
    delta_state[to_state + 3u * VALUE_DIM] = v.w;
}
