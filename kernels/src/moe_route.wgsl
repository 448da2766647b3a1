// moe_route: the `top_k` experts of each token with the largest logits, and their weights: a softmax over those alone.
// A lane takes one token. Bound: reads the logits `top_k` times. Sockets: none.

struct Params { experts: u32, top_k: u32, stride: u32 }

const MIN = -3.0e38; // WGSL promises no infinities

@group(0) @binding(3) var<storage, read> router: array<f32>;               // (tokens, stride)
@group(0) @binding(4) var<storage, read_write> expert_ids: array<u32>;     // (tokens, top_k)
@group(0) @binding(5) var<storage, read_write> expert_weights: array<f32>;  // (tokens, top_k)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let token = at.x;
    if token >= rows.count { return; }
    let row = token * params.stride;
    var max_logit = 0.0;
    var total = 0.0;
    var last = -MIN;
    var last_index = 0u;
    for (var i = 0u; i < params.top_k; i++) {
        var best = MIN;
        var best_index = 0u;
        for (var e = 0u; e < params.experts; e++) {
            let v = router[row + e];
            // After the one before: smaller, or as large and further on.
            let left = i == 0u || v < last || (v == last && e > last_index);
            if left && v > best {
                best = v;
                best_index = e;
            }
        }
        if i == 0u { max_logit = best; }
        let weight = exp(best - max_logit);
        expert_ids[token * params.top_k + i] = best_index;
        expert_weights[token * params.top_k + i] = weight;
        total += weight;
        last = best;
        last_index = best_index;
    }
    for (var i = 0u; i < params.top_k; i++) { expert_weights[token * params.top_k + i] /= total; }
}
