// Parameters of the attention kernels, and which positions of its own sequence a row sees: `behind` before its own and
// `ahead` after it, but none before the last multiple of `chunk`, and none after the sequence's last row in the pass.
struct Params {
    kv_heads: u32, q_stride: u32, y_stride: u32, scale: f32, cap: f32, max_bias: f32,
    behind: u32, ahead: u32, chunk: u32, cells: u32, head_cells: u32, value_cell: u32,
}
@group(0) @binding(8) var<uniform> params: Params;

// The first position that a row at `position` sees.
fn seen_begin(position: u32) -> u32 { return position - min(position % params.chunk, params.behind); }

// The position after the last that row `row` sees.
fn seen_end(row: u32) -> u32 {
    let own = rows.row[row].position;
    var last = own;
    if params.ahead > 0u {
        var other = rows.count - 1u;
        while rows.row[other].sequence != rows.row[row].sequence { other -= 1u; }
        last = own + min(rows.row[other].position - own, params.ahead);
    }
    return last + 1u;
}
