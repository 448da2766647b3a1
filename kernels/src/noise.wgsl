// noise: a plane of random weights: each unit is one of a table's, drawn by its place in its tensor.
// A lane makes 16 bytes. Bound: writes the plane once.

struct Params {
    start: u32, groups: u32, row_start: u32, units: u32, run: u32, runs: u32, wide: u32, choices: u32,
    alternating: u32, rows_first: u32, rows_second: u32, first: u32, second: u32, third: u32,
}

@group(0) @binding(3) var<storage, read> table: array<u32>;         // (choices, runs, run_bytes)
@group(0) @binding(4) var<storage, read_write> plane: array<vec4u>; // (groups)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let lane = (wg.id.y * wg.count.x + wg.id.x) * WORKGROUP_SIZE + at.lane;
    if lane >= params.groups { return; }
    let step = min(params.run, 4u);
    var words = vec4u(0u);
    for (var byte = 0u; byte < 16u; byte += step) {
        let from_byte = source((params.start + lane) * 16u + byte);
        let some = table[from_byte / 4u] >> (from_byte % 4u * 8u);
        words[byte / 4u] |= (some & (0xffffffffu >> (32u - 8u * step))) << (byte % 4u * 8u);
    }
    plane[lane] = words;
}

// Where in the table a byte of the plane comes from.
fn source(byte: u32) -> u32 {
    let run = byte / params.run / params.wide;
    let place = run / params.runs;
    let row = place / params.units * params.wide + byte / params.run % params.wide;
    let unit = unit_of(params.row_start + row) + place % params.units;
    let choice = random_unit(unit) % params.choices;
    return (choice * params.runs + run % params.runs) * params.run + byte % params.run;
}

// The number of a row's first unit.
fn unit_of(row: u32) -> u32 {
    if params.alternating == 1u {
        return select(params.second, params.first, row % 2u == 0u) + row / 2u * params.units;
    }
    if row < params.rows_first { return params.first + row * params.units; }
    let rest = row - params.rows_first;
    if rest < params.rows_second { return params.second + rest * params.units; }
    return params.third + (rest - params.rows_second) * params.units;
}

// PCG's output function (O'Neill 2014).
fn random_unit(unit: u32) -> u32 {
    let state = unit * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}
