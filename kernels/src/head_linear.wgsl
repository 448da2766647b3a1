// head_linear: every head of a row times a matrix of its own. A lane makes some neighbours of a head's results; how many, and
// of which weights, its orientation says. Behind the results it copies what lies behind the head's inputs.
// Bound: reads weights once for each row of the pass, which caches have but for the first.
// Sockets: format, orientation.

// Rows of the matrix: those of all heads, `head_rows` from one to the next, of which `rows` from `first_row` on are a head's own.
struct Params { rows: u32, cols: u32, head_rows: u32, first_row: u32, kept: u32, x_start: u32, x_head: u32, x_stride: u32,
    y_head: u32, y_stride: u32 }

@group(0) @binding(3) var<storage, read> x: array<vec4f>;       // (tokens, x_stride / 4)
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>; // (tokens, y_stride / 4)
@group(0) @binding(8) var<uniform> params: Params;

// A head of a row: the first row of its matrix, and where its fours lie in x and y.
struct Head { row: u32, from_x: u32, to_y: u32 }

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let lane = at.x;
    let token = at.z;
    let lanes = (results_of_head() + RESULTS - 1u) / RESULTS;
    if lane < lanes {
        let head = Head(at.y * params.head_rows + params.first_row,
            (token * params.x_stride + params.x_start + at.y * params.x_head) / 4u,
            (token * params.y_stride + at.y * params.y_head) / 4u);
        put_results(lane, head);
        let behind_x = head.from_x + inputs_of_head() / 4u;
        let behind_y = head.to_y + results_of_head() / 4u;
        for (var i = lane; i < params.kept / 4u; i += lanes) { y[behind_y + i] = x[behind_x + i]; }
    }
}

fn col_groups() -> u32 { return (params.cols + 31u) / 32u; }
