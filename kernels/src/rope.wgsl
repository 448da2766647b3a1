// rope: rotates queries in place and keys on their way into the cache, and moves values there.
// A lane takes four neighbouring values of one head, and what turns with them.
// Bound: reads and writes q, k and v once. Sockets: store, pairing, window.

struct Params { heads: u32, kv_heads: u32, pairs: u32, stride: u32, window: u32, places: u32 }

const QUARTER = HEAD / 4u;

@group(0) @binding(0) var<storage, read> angles: array<vec2f>;        // (context, pairs): cosine, sine
@group(0) @binding(3) var<storage, read_write> qkv: array<vec4f>;     // (tokens, stride / 4): queries, keys, values
@group(0) @binding(8) var<uniform> params: Params;

// Four values in qkv, and for keys their place in the cache.
struct Four { place: u32, cached: u32, is_key: bool }

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let q_end = params.heads * QUARTER;
    let k_end = q_end + params.kv_heads * QUARTER;
    let v_end = k_end + params.kv_heads * QUARTER;
    let token = at.y;
    if token >= state.count || at.x >= v_end { return; }

    let place = token * params.stride / 4u + at.x;
    let position = state.position + token;
    if at.x >= k_end {
        values[cache_place(at.x - k_end, position)] = cached(qkv[place]);
        return;
    }
    let is_key = at.x >= q_end;
    turn(Four(place, cache_place(select(0u, at.x - q_end, is_key), position), is_key), at.x % QUARTER, position);
}

// Where four `i` of all heads goes.
fn cache_place(i: u32, position: u32) -> u32 {
    return (i / QUARTER * params.places + place_of(position)) * QUARTER + i % QUARTER;
}

// Puts the turned values `offset` fours further where they belong.
fn keep(four: Four, offset: u32, v: vec4f) {
    if four.is_key {
        keys[four.cached + offset] = cached(v);
    } else {
        qkv[four.place + offset] = v;
    }
}
