// Where a position of a sequence lies in a cache of blocks, each (kv_heads, BLOCK_CELLS): so `head_cells` is BLOCK_CELLS. A
// table behind the rows of the pass, (sequences, cells), says which block has the position: of layers that keep all of
// them, or with WINDOWED = 1 of layers that keep a window of them.
fn cell(sequence: u32, position: u32) -> u32 {
    let entry = rows.tables + sequence * params.cells + position / BLOCK_CELLS;
    let block = select(rows.row[entry].token, rows.row[entry].position, WINDOWED == 1u);
    return block * params.kv_heads * BLOCK_CELLS + position % BLOCK_CELLS;
}
