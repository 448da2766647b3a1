// Each lane reads a row's inputs by itself, b and c at indices that all lanes share, and has all of its channel's S.
const SLICE = STATE_DIM / 4u;

var<private> from_b: u32;
var<private> from_c: u32;

fn read_ahead(row: u32, at: Lane, numbers: Numbers) {}

fn take_row(row: u32, at: Lane, numbers: Numbers) -> Inputs {
    from_b = group_place(row, params.b_start, at.head);
    from_c = group_place(row, params.c_start, at.head);
    return inputs_of(row, at, numbers);
}

fn b4(four: u32) -> vec4f { return bc[from_b + four]; }
fn c4(four: u32) -> vec4f { return bc[from_c + four]; }
fn total(sum: f32, at: Lane) -> f32 { return sum; }
