// moe_sort: the pairs of token and expert of a pass, sorted by expert, and tiles of up to TILE pairs of one expert.
// One workgroup; a lane takes every WORKGROUP_SIZE-th expert. Bound: reads each lane's share of experts times the pairs, twice.
// Sockets: none.

struct Params { experts: u32, top_k: u32, tiles_max: u32 }

@group(0) @binding(3) var<storage, read> expert_ids: array<u32>;    // (tokens, top_k)
@group(0) @binding(4) var<storage, read_write> tiles: array<u32>;   // (tiles, 3): expert, first of the sorted pairs, count
@group(0) @binding(5) var<storage, read_write> sorted_pairs: array<u32>; // (pairs)
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> counts: array<u32, EXPERTS_MAX>; // pairs of each expert

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) lane: u32) {
    let pairs = rows.count * params.top_k;
    for (var tile = lane; tile < params.tiles_max; tile += WORKGROUP_SIZE) { tiles[tile * 3u + 2u] = 0u; }
    for (var expert = lane; expert < params.experts; expert += WORKGROUP_SIZE) {
        var count = 0u;
        for (var pair = 0u; pair < pairs; pair++) { count += u32(expert_ids[pair] == expert); }
        counts[expert] = count;
    }
    storageBarrier();
    workgroupBarrier();
    for (var expert = lane; expert < params.experts; expert += WORKGROUP_SIZE) {
        var start = 0u; // of the expert's pairs among the sorted
        var tile = 0u;
        for (var before = 0u; before < expert; before++) {
            start += counts[before];
            tile += (counts[before] + TILE - 1u) / TILE;
        }
        let count = counts[expert];
        for (var first = 0u; first < count; first += TILE) {
            tiles[tile * 3u] = expert;
            tiles[tile * 3u + 1u] = start + first;
            tiles[tile * 3u + 2u] = min(count - first, TILE);
            tile++;
        }
        var place = start;
        for (var pair = 0u; pair < pairs; pair++) {
            if expert_ids[pair] == expert {
                sorted_pairs[place] = pair;
                place++;
            }
        }
    }
}
