// Where weights lie in buffers, in groups: row by row; scales by fours of rows.
fn row_place(row: u32, groups: u32) -> u32 { return row * groups; }
fn four_place(four: u32, groups: u32) -> u32 { return four * groups; }

// From there to a group of the row.
fn row_step(group: u32) -> u32 { return group; }
fn four_step(group: u32) -> u32 { return group; }
