// store: keys and values into a cache of quantised blocks.
// A lane takes a block of 32 values of one token. Bound: reads k and v once. Sockets: blocks, cells.

struct Params {
    k_start: u32, k_stride: u32, v_start: u32, v_stride: u32, kv_heads: u32, head_blocks: u32, value_blocks: u32,
    cells: u32, head_cells: u32,
}

@group(0) @binding(1) var<storage, read_write> keys: array<u32>;   // (kv_heads, head_cells, head_dim / 32, WORDS)
@group(0) @binding(2) var<storage, read_write> values: array<u32>; // (kv_heads, head_cells, value_cell / 32, WORDS)
@group(0) @binding(3) var<storage, read> k: array<vec4f>;          // (tokens, k_stride / 4): from `k_start` on
@group(0) @binding(4) var<storage, read> v: array<vec4f>;          // (tokens, v_stride / 4): from `v_start` on
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let token = at.y;
    let key_blocks = params.kv_heads * params.head_blocks;
    if token >= rows.count || at.x >= key_blocks + params.kv_heads * params.value_blocks { return; }
    let is_key = at.x < key_blocks;
    let own = select(at.x - key_blocks, at.x, is_key);
    let blocks = select(params.value_blocks, params.head_blocks, is_key); // of a head
    let from_k = (token * params.k_stride + params.k_start) / 4u + own * 8u;
    let from_v = (token * params.v_stride + params.v_start) / 4u + own * 8u;
    var fours = array<vec4f, 8>();
    var furthest = 0.0; // the value furthest from 0, the first of those
    for (var i = 0u; i < 8u; i++) {
        if is_key { fours[i] = k[from_k + i]; } else { fours[i] = v[from_v + i]; }
        for (var j = 0u; j < 4u; j++) {
            if abs(fours[i][j]) > abs(furthest) { furthest = fours[i][j]; }
        }
    }
    let block = packed(fours, furthest);
    let row = rows.row[token];
    let place = own / blocks * params.head_cells + cell(row.sequence, row.position);
    let to_word = (place * blocks + own % blocks) * WORDS;
    for (var i = 0u; i < WORDS; i++) {
        if is_key {
            keys[to_word + i] = block.words[i];
        } else {
            values[to_word + i] = block.words[i];
        }
    }
}
