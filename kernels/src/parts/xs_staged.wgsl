// The activations of a turn, for the sets of lanes of a workgroup, which have other rows each.
fn x_begin(first: u32, groups: u32, count: u32, tile: Tile, at: Invocation) {
    workgroupBarrier(); // the turn before is read
    for (var own = at.lane; own < count * 8u * LANES_PER_ROW; own += WORKGROUP_SIZE) {
        let token = own / (8u * LANES_PER_ROW);
        let four = own % (8u * LANES_PER_ROW);
        let group = first + four / 8u;
        var v = vec4f(0.0);
        if group < groups { v = x[x_row(token, tile) * groups + group][four % 8u]; }
        stage_put(token, four, v);
    }
    workgroupBarrier();
}

fn x_group(token: u32, group: u32, groups: u32, tile: Tile, at: Invocation) -> Group {
    return staged(token, at.lane % LANES_PER_ROW);
}

// Tokens that there are: others cost time.
fn tokens_computed(tile: Tile) -> u32 { return tile.count; }

// Sum over the lanes that share rows, in the first of them.
var<workgroup> row_scratch: array<vec4f, WORKGROUP_SIZE>;
fn row_sum4(v: vec4f, at: Invocation) -> vec4f {
    row_scratch[at.lane] = v;
    workgroupBarrier();
    var sum = v;
    if at.lane % LANES_PER_ROW == 0u {
        for (var i = 1u; i < LANES_PER_ROW; i++) { sum += row_scratch[at.lane + i]; }
    }
    workgroupBarrier();
    return sum;
}
