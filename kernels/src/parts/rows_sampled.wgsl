// The rows of a pass, as rows.wgsl has them; here the token sampled after the last row becomes the next pass's only row.
struct Row { token: u32, position: u32, sequence: u32, unused: u32 }
struct Rows { count: u32, sampled: u32, unused_a: u32, unused_b: u32, row: array<Row> } // sampled: tokens sampled so far
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
