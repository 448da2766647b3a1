// The last `window` positions, in a ring of `places`.
fn window_start(count: u32) -> u32 { return count - min(count, params.window); }
fn place_of(position: u32) -> u32 { return position % params.places; }
