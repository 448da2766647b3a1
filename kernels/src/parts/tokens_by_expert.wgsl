// Pairs of token and expert, sorted by `moe_sort`: W has the rows of all experts, one after the other, and a tile is of one.
// Workgroups in y have a tile each.
@group(0) @binding(5) var<storage, read> tiles: array<u32>;        // (tiles, 3): expert, first of the sorted pairs, count
@group(0) @binding(6) var<storage, read> sorted_pairs: array<u32>; // (pairs)

fn tile_of(wg: Workgroup) -> Tile {
    let at = wg.id.y * 3u;
    return Tile(tiles[at + 2u], wg.id.x, tiles[at] * params.rows, tiles[at + 1u]);
}
// Past the last, the last: adapters that compute all read some.
fn sorted_pair(token: u32, tile: Tile) -> u32 { return sorted_pairs[tile.pairs + min(token, tile.count - 1u)]; }
fn x_row(token: u32, tile: Tile) -> u32 { return sorted_pair(token, tile) / select(TOP_K, 1u, params.x_each == 1u); }
fn y_row(token: u32, tile: Tile) -> u32 { return sorted_pair(token, tile); }
