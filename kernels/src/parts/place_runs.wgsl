// Every lane reads a run of its own.
fn place(lane: u32, turn: u32) -> u32 { return lane * TURNS + turn; }
