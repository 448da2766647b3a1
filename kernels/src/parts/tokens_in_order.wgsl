// Tokens of a pass from `token_start` on, and all rows of W; x is bound from that token on.
fn tile_of(wg: Workgroup) -> Tile {
    let index = wg.id.y * wg.count.x + wg.id.x;
    return Tile(min(rows.count - params.token_start, TOKENS), index, 0u, 0u);
}
fn x_row(token: u32, tile: Tile) -> u32 { return token; }
fn y_row(token: u32, tile: Tile) -> u32 { return params.token_start + token; }
