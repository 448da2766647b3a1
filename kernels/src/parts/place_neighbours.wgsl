// Neighbouring lanes read neighbouring vectors.
fn place(lane: u32, turn: u32) -> u32 { return turn * params.lanes + lane; }
