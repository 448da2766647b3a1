// What changes from pass to pass; the CPU writes it before a prefill pass, drawing a token advances it.
struct State {
    position: u32, // of the first token of this pass
    count: u32,    // tokens in this pass
    drawn: u32,    // tokens drawn so far
    unused: u32,
}
@group(0) @binding(7) var<storage, read> state: State;
