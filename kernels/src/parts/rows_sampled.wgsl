// Here the token sampled after the last row becomes the next pass's only row.
@group(0) @binding(7) var<storage, read_write> rows: Rows;
@group(0) @binding(5) var<storage, read_write> sampled: array<u32>; // (RING): the tokens sampled last, a ring

// The position of the token that is sampled.
fn next_position() -> u32 { return rows.row[rows.count - 1u].position + 1u; }

fn advance(token: u32) {
    sampled[rows.sampled % arrayLength(&sampled)] = token;
    rows.row[0] = Row(token, next_position(), rows.row[rows.count - 1u].sequence, 0u);
    rows.sampled += 1u;
    rows.count = 1u;
}
