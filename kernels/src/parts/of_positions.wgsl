// The row of each position, added.
fn looked_up(row: u32) -> u32 { return rows.row[row].position; }
fn put(i: u32, v: vec4f) { x[i] += v; }
