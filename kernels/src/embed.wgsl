// embed: x = W[token], one row of the embedding for each token.
// A lane decodes one group of 32 weights. Bound: reads one row of weights a token.
// Sockets: format, lookup.

struct Params { cols: u32, rows: u32, row_start: u32, scale: f32, x_stride: u32 }

@group(0) @binding(4) var<storage, read_write> x: array<vec4f>;     // (tokens, x_stride / 4)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let groups = (params.cols + 31u) / 32u;
    let token = at.y;
    if token >= rows.count || at.x >= groups { return; }
    let row = looked_up(token) - params.row_start; // below row_start it wraps, and is past the end
    if row >= params.rows { return; } // another piece of the embedding has this row
    let scale = w_scale(row, at.x, groups) * params.scale;
    let step = scale.x * W_STEP;
    let weights = w_group(row * groups + at.x);
    let first = token * params.x_stride / 4u + at.x * 8u;
    put(first, weights.a * step + scale.y);
    put(first + 1u, weights.b * step + scale.y);
    put(first + 2u, weights.c * step + scale.y);
    put(first + 3u, weights.d * step + scale.y);
    put(first + 4u, weights.e * step + scale.y);
    put(first + 5u, weights.f * step + scale.y);
    put(first + 6u, weights.g * step + scale.y);
    put(first + 7u, weights.h * step + scale.y);
}
