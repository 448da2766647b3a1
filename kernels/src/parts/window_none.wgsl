// All positions, each in its own place.
fn window_start(count: u32) -> u32 { return 0u; }
fn place_of(position: u32) -> u32 { return position; }
