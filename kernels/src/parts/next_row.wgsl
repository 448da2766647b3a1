// The first row of a sequence from `start` on, or the number of rows.
fn next_row(start: u32, sequence: u32) -> u32 {
    var row = start;
    while row < rows.count && rows.row[row].sequence != sequence { row++; }
    return row;
}
