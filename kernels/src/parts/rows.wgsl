// The rows of a pass: a token each, with its position in its sequence. The CPU writes them before a prefill pass.
// Behind them, from row `tables` on, may lie the blocks of a paged cache: a row for each block of a sequence.
struct Row { token: u32, position: u32, sequence: u32, sampled: u32 } // sampled: tokens sampled so far for it
struct Rows { count: u32, tables: u32, unused_b: u32, unused_c: u32, row: array<Row> }
