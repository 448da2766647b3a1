// The row of each token, stored.
fn looked_up(row: u32) -> u32 { return rows.row[row].token; }
fn put(i: u32, v: vec4f) { x[i] = v; }
