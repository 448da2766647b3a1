// rope: rotates queries in place and keys on their way into the cache, and moves values there.
// A lane takes four neighbouring values of one head, and what rotates with them.
// Bound: reads and writes q, k and v once. Sockets: store, style, cells.

struct Params { heads: u32, kv_heads: u32, pairs: u32, stride: u32, cells: u32, head_cells: u32 }

const QUARTER = HEAD_DIM / 4u;

@group(0) @binding(0) var<storage, read> angles: array<vec2f>;        // (context, pairs): cosine, sine
@group(0) @binding(3) var<storage, read_write> qkv: array<vec4f>;     // (tokens, stride / 4): queries, keys, values
@group(0) @binding(8) var<uniform> params: Params;

// Four values in qkv, and for keys their place in the cache.
struct Four { place: u32, cached: u32, is_key: bool }

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let i = at.x;
    let token = at.y;
    if token >= rows.count { return; }
    let q_end = params.heads * QUARTER;
    let k_end = q_end + params.kv_heads * QUARTER;
    let v_end = k_end + params.kv_heads * QUARTER;
    if i >= v_end { return; }
    let row = rows.row[token];
    let place = token * params.stride / 4u + i;
    if i >= k_end {
        put_value(cache_place(i - k_end, row), qkv[place]);
        return;
    }
    let is_key = i >= q_end;
    rotate(Four(place, cache_place(select(0u, i - q_end, is_key), row), is_key), i % QUARTER, row.position);
}

// Where four `i` of all heads goes.
fn cache_place(i: u32, row: Row) -> u32 {
    return (i / QUARTER * params.head_cells + cell(row.sequence, row.position)) * QUARTER + i % QUARTER;
}

// Puts the rotated values `offset` fours further where they belong.
fn keep(four: Four, offset: u32, v: vec4f) {
    if four.is_key {
        put_key(four.cached + offset, v);
    } else {
        qkv[four.place + offset] = v;
    }
}
