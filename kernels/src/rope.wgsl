// rope: norms and rotates heads of queries, into y, and of keys on their way into the cache, and moves values there.
// A lane takes four neighbouring values of one head.
// Bound: reads q, k and v once, and once more what rotates with them. Sockets: store, style, cells, head norm.

// Of a head `skipped` values stay, then `pairs` rotate. Heads begin at x_start, the queries' first, values at v_start; from
// head `split` on, heads have the second half of the norm's weight.
struct Params {
    heads: u32, kv_heads: u32, pairs: u32, skipped: u32, split: u32, x_stride: u32, x_start: u32, v_stride: u32,
    v_start: u32, y_stride: u32, cells: u32, head_cells: u32, value_cell: u32, eps: f32,
}

const QUARTER = HEAD_DIM / 4u;

@group(0) @binding(0) var<storage, read> angles: array<vec2f>;     // (context, pairs): cosine, sine
@group(0) @binding(3) var<storage, read> x: array<vec4f>;          // (tokens, x_stride / 4): queries and keys
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;    // (tokens, y_stride / 4)
@group(0) @binding(5) var<storage, read> v: array<vec4f>;          // (tokens, v_stride / 4)
@group(0) @binding(8) var<uniform> params: Params;

// The first four values of a head in x, and of the norm's weight; the factor that the norm makes.
struct Head { first: u32, weight: u32, scale: f32 }

// Four values `i` of a head after the norm.
fn four_of(head: Head, i: u32) -> vec4f { return head_weighed(x[head.first + i] * head.scale, head.weight + i); }

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let i = at.x;
    let token = at.y;
    let q_end = params.heads * QUARTER;
    let k_end = q_end + params.kv_heads * QUARTER;
    if token < rows.count && i < k_end + params.kv_heads * params.value_cell / 4u {
        let row = rows.row[token];
        if i >= k_end {
            let from_v = (token * params.v_stride + params.v_start) / 4u;
            put_value(cache_place(i - k_end, params.value_cell / 4u, row), v[from_v + i - k_end]);
        } else {
            let number = i / QUARTER;
            let first = (token * params.x_stride + params.x_start) / 4u + number * QUARTER;
            let head = Head(first, select(0u, QUARTER, number >= params.split), head_scale(first));
            let four = four_rotated(head, i % QUARTER, row.position);
            if i >= q_end {
                put_key(cache_place(i - q_end, QUARTER, row), four);
            } else {
                y[token * params.y_stride / 4u + i] = four;
            }
        }
    }
}

// Four values `i` of a head, rotated where they are.
fn four_rotated(head: Head, i: u32, position: u32) -> vec4f {
    let skipped = params.skipped / 4u;
    if i < skipped { return four_of(head, i); }
    return rotated(Head(head.first + skipped, head.weight + skipped, head.scale), i - skipped, position);
}

// Where four `i` of all heads goes, each of which has `fours`.
fn cache_place(i: u32, fours: u32, row: Row) -> u32 {
    return (i / fours * params.head_cells + cell(row.sequence, row.position)) * fours + i % fours;
}
