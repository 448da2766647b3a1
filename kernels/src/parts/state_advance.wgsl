// What changes from pass to pass, as state.wgsl; here the drawn token moves it on, and becomes the next pass's input.
struct State {
    position: u32, // of the first token of this pass
    count: u32,    // tokens in this pass
    drawn: u32,    // tokens drawn so far
    unused: u32,
}
@group(0) @binding(7) var<storage, read_write> state: State;
@group(0) @binding(6) var<storage, read_write> tokens: array<u32>; // (most tokens of a pass)
@group(0) @binding(5) var<storage, read_write> drawn: array<u32>;  // (RING): the tokens drawn last, a ring

fn advance(token: u32) {
    tokens[0] = token;
    drawn[state.drawn % arrayLength(&drawn)] = token;
    state.drawn += 1u;
    state.position += state.count;
    state.count = 1u;
}
