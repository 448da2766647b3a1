// route: the `used` experts of each token with the largest logits, and their shares: a softmax over those alone.
// A lane takes one token. Bound: reads the logits `used` times. Sockets: none.

struct Params { experts: u32, used: u32, stride: u32 }

const LEAST = -3.0e38; // WGSL promises no infinities

@group(0) @binding(3) var<storage, read> router: array<f32>;        // (tokens, stride)
@group(0) @binding(4) var<storage, read_write> chosen: array<u32>;  // (tokens, used)
@group(0) @binding(5) var<storage, read_write> shares: array<f32>;  // (tokens, used)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let token = at.x;
    if token >= rows.count { return; }
    let row = token * params.stride;
    var most = 0.0;
    var total = 0.0;
    var last = -LEAST;
    var last_index = 0u;
    for (var i = 0u; i < params.used; i++) {
        var best = LEAST;
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
        if i == 0u { most = best; }
        let share = exp(best - most);
        chosen[token * params.used + i] = best_index;
        shares[token * params.used + i] = share;
        total += share;
        last = best;
        last_index = best_index;
    }
    for (var i = 0u; i < params.used; i++) { shares[token * params.used + i] /= total; }
}
