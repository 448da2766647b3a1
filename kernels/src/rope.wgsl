// rope: rotates queries in place and keys on their way into the cache, and moves values there.
// A lane takes four neighbouring values of one head: two pairs, as the Llama family lays them out.
// Bound: reads and writes q, k and v once. Sockets: store.

struct Params { heads: u32, kv_heads: u32, pairs: u32, stride: u32 }

@group(0) @binding(0) var<storage, read> angles: array<vec2f>;        // (context, pairs): cosine, sine
@group(0) @binding(3) var<storage, read_write> qkv: array<vec4f>;     // (tokens, stride / 4): queries, keys, values
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let quarter = HEAD / 4u;
    let q_end = params.heads * quarter;
    let k_end = q_end + params.kv_heads * quarter;
    let v_end = k_end + params.kv_heads * quarter;
    let token = at.y;
    if token >= state.count || at.x >= v_end { return; }

    let place = token * params.stride / 4u + at.x;
    let position = state.position + token;
    let row = position * params.kv_heads * quarter;
    let v = qkv[place];
    if at.x >= k_end {
        values[row + at.x - k_end] = cached(v);
        return;
    }
    let pair = (at.x % quarter) * 2u;
    var turned = v;
    if pair + 1u < params.pairs {
        let a = angles[position * params.pairs + pair];
        let b = angles[position * params.pairs + pair + 1u];
        turned = vec4f(v.x * a.x - v.y * a.y, v.x * a.y + v.y * a.x, v.z * b.x - v.w * b.y, v.z * b.y + v.w * b.x);
    } else if pair < params.pairs {
        let a = angles[position * params.pairs + pair];
        turned = vec4f(v.x * a.x - v.y * a.y, v.x * a.y + v.y * a.x, v.zw);
    }
    if at.x >= q_end {
        keys[row + at.x - q_end] = cached(turned);
    } else {
        qkv[place] = turned;
    }
}
