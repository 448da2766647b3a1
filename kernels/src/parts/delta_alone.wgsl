// Each lane reads a row's inputs by itself, at indices that all lanes share, and has all keys of its column.
const SLICE = KEY_DIM / 4u;

var<private> from_q: u32;
var<private> from_k: u32;

fn read_ahead(row: u32, at: Lane) {}

fn take_row(row: u32, at: Lane) -> Inputs {
    from_q = key_place(row, params.q_start, at.head);
    from_k = key_place(row, params.k_start, at.head);
    let gate = decay_and_beta(row, at.head);
    return Inputs(value_of(row, at), gate.x, gate.y);
}

fn q4(four: u32) -> vec4f { return qkv[from_q + four]; }
fn k4(four: u32) -> vec4f { return qkv[from_k + four]; }
fn total(sums: Sums, at: Lane) -> Sums { return sums; }
