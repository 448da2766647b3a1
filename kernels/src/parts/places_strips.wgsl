// Where weights lie in textures, in groups: by strips of 64 rows. Of these, 8 lanes that have 8 rows each read one unit at
// a time, first all of their first rows, then of their second …: what is read one after the other lies so.
fn row_place(row: u32, groups: u32) -> u32 {
    return row / 64u * (64u * groups) + (row % 8u * 8u + row / 8u % 8u) * W_UNIT;
}
fn four_place(four: u32, groups: u32) -> u32 {
    return four / 16u * (16u * groups) + (four % 2u * 8u + four / 2u % 8u) * W_UNIT;
}

// From there to a group of the row.
fn row_step(group: u32) -> u32 { return group / W_UNIT * (64u * W_UNIT) + group % W_UNIT; }
fn four_step(group: u32) -> u32 { return group / W_UNIT * (16u * W_UNIT) + group % W_UNIT; }
