// The lanes of a workgroup read b and c of a row together, one row ahead; the S of a channel is in slices of several lanes.
// Two barriers a row: what is written before one was last read before the other.
// Loops with constant ends are unrolled.
const SLICES = WORKGROUP_SIZE / CHANNELS;
const SLICE = (STATE_DIM / 4u + SLICES - 1u) / SLICES;                // fours of a lane's S
const PADDED = SLICE * SLICES;                                        // fours of b, zeros up to whole slices; as many of c
const READS = (2u * PADDED + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;   // of those, a lane's

var<workgroup> bc_shared: array<vec4f, 2u * PADDED>;   // b, c
var<workgroup> partial: array<f32, WORKGROUP_SIZE>;    // (SLICES, CHANNELS)

var<private> ahead_bc: array<vec4f, READS>;
var<private> ahead: Inputs;

fn read_ahead(row: u32, at: Lane, numbers: Numbers) {
    let from_b = group_place(row, params.b_start, at.head);
    let from_c = group_place(row, params.c_start, at.head);
    for (var j = 0u; j < READS; j++) {
        let i = j * WORKGROUP_SIZE + at.index;
        if i < 2u * PADDED && i % PADDED < STATE_FOURS { ahead_bc[j] = bc[select(from_b, from_c, i >= PADDED) + i % PADDED]; }
    }
    ahead = inputs_of(row, at, numbers);
}

fn take_row(row: u32, at: Lane, numbers: Numbers) -> Inputs {
    for (var j = 0u; j < READS; j++) {
        let i = j * WORKGROUP_SIZE + at.index;
        if i < 2u * PADDED { bc_shared[i] = ahead_bc[j]; }
    }
    workgroupBarrier();
    return ahead;
}

fn b4(four: u32) -> vec4f { return bc_shared[four]; }
fn c4(four: u32) -> vec4f { return bc_shared[PADDED + four]; }

fn total(sum: f32, at: Lane) -> f32 {
    partial[at.index] = sum;
    workgroupBarrier();
    var all = 0.0;
    for (var i = 0u; i < SLICES; i++) { all += partial[i * CHANNELS + at.index % CHANNELS]; }
    return all;
}
