// store: keys and values into a cache of quantised blocks.
// A lane takes a block of 32 values of one token. Bound: reads k and v once. Sockets: blocks, cells.

struct Params { start: u32, blocks: u32, head_blocks: u32, stride: u32, cells: u32, head_cells: u32 }

@group(0) @binding(1) var<storage, read_write> keys: array<u32>;   // (kv_heads, head_cells, head_dim / 32, WORDS)
@group(0) @binding(2) var<storage, read_write> values: array<u32>; // (kv_heads, head_cells, head_dim / 32, WORDS)
@group(0) @binding(3) var<storage, read> qkv: array<vec4f>;        // (tokens, stride / 4): keys and values from `start` on
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let token = at.y;
    if token >= rows.count || at.x >= params.blocks * 2u { return; }
    let from_four = (token * params.stride + params.start) / 4u + at.x * 8u;
    var v = array<vec4f, 8>();
    var furthest = 0.0; // the value furthest from 0, the first of those
    for (var i = 0u; i < 8u; i++) {
        v[i] = qkv[from_four + i];
        for (var j = 0u; j < 4u; j++) {
            if abs(v[i][j]) > abs(furthest) { furthest = v[i][j]; }
        }
    }
    let block = packed(v, furthest);
    let block_of = at.x % params.blocks;
    let row = rows.row[token];
    let place = block_of / params.head_blocks * params.head_cells + cell(row.sequence, row.position);
    let to_word = (place * params.head_blocks + block_of % params.head_blocks) * WORDS;
    for (var i = 0u; i < WORDS; i++) {
        if at.x < params.blocks {
            keys[to_word + i] = block.words[i];
        } else {
            values[to_word + i] = block.words[i];
        }
    }
}
