//! Random weights for models that are only measured, made where they are read: nothing goes from the CPU to the GPU but a
//! table of random units of a stored type.

use crate::{
    Call, Case, Kernel, Variant, bytes_of_params, kernel::wide_grid, parts::REDUCE_NONE,
    random::Random, tolerance,
};

/// The kernel; units are groups of 16 bytes.
pub static NOISE: Kernel = Kernel {
    name: "noise",
    source: include_str!("noise.wgsl"),
    uses: &[&REDUCE_NONE],
    sockets: &[],
    variants: &[Variant {
        name: "groups",
        parts: &[],
        consts: &[("WORKGROUP_SIZE", 64)],
        software: false,
    }],
    params: Params::FIELDS,
    outputs: &["plane"],
    grid: |shader, groups, _| wide_grid(groups.div_ceil(shader.constant("WORKGROUP_SIZE"))),
    reference,
    tolerance: tolerance::exact,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them. A plane is laid out as [`crate::formats::Plane`] says.
    Params {
        /// The first group of 16 bytes, counted from the plane's start.
        start: u32,
        /// Groups.
        groups: u32,
        /// The plane's first row in the matrix.
        row_start: u32,
        /// Units of a row.
        units: u32,
        /// Bytes of a run: 1, 2, or a multiple of 4.
        run: u32,
        /// Runs of a unit.
        runs: u32,
        /// Rows whose runs lie together: 1 or 4.
        wide: u32,
        /// Units of the table.
        choices: u32,
        /// 1 where rows alternate between two tensors; else those of up to three follow each other.
        alternating: u32,
        /// Rows of the first tensor.
        rows_first: u32,
        /// Rows of the second.
        rows_second: u32,
        /// The number of the first tensor's first unit, by which units are drawn.
        first: u32,
        /// The number of the second tensor's first unit.
        second: u32,
        /// The number of the third tensor's first unit.
        third: u32,
    }
}

/// Random number that is drawn for a unit: PCG's output function (O'Neill 2014).
pub fn random_unit(unit: u32) -> u32 {
    let state = unit.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

/// `plane` (groups, 16 bytes) from `table` (choices, runs, run bytes).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let table: Vec<u8> = bytemuck::cast_slice(call.words("table")).to_vec();
    let plane: &mut [u8] = bytemuck::cast_slice_mut(call.words("plane"));
    for (byte, to) in (p.start * 16..).zip(&mut plane[..p.groups as usize * 16]) {
        let run = byte / p.run / p.wide;
        let place = run / p.runs;
        let row = p.row_start + place / p.units * p.wide + byte / p.run % p.wide;
        let (first, row) = if p.alternating == 1 {
            ([p.first, p.second][row as usize % 2], row / 2)
        } else if row < p.rows_first {
            (p.first, row)
        } else if row < p.rows_first + p.rows_second {
            (p.second, row - p.rows_first)
        } else {
            (p.third, row - p.rows_first - p.rows_second)
        };
        let unit = first.wrapping_add(row * p.units + place % p.units);
        let choice = random_unit(unit) % p.choices;
        let from = (choice * p.runs + run % p.runs) * p.run + byte % p.run;
        *to = table[from as usize];
    }
}

/// Each kind of plane that formats have; tensors that follow each other, and that alternate; a part of a plane.
fn cases() -> Vec<Case> {
    let mut random = Random::new(17);
    let planes = [
        (16, 1, 1),
        (2, 1, 4),
        (4, 2, 4),
        (1, 16, 4),
        (52, 1, 1),
        (2, 3, 1),
    ];
    let mut case = |((run, runs, wide), alternating): ((u32, u32, u32), u32)| {
        let (choices, groups) = (37, 300);
        let params = Params {
            start: 2,
            groups,
            row_start: 8,
            units: 3,
            run,
            runs,
            wide,
            choices,
            alternating,
            rows_first: 12,
            rows_second: 5,
            first: 7,
            second: 70_000,
            third: u32::MAX - 9000,
        };
        let table = (0..(choices * runs * run).div_ceil(4)).map(|_| random.bits() as u32);
        Case {
            name: format!("{runs} runs of {run}, {wide} {alternating}"),
            parts: vec![],
            consts: vec![],
            params: bytes_of_params(&params),
            units: groups,
            tokens: 1,
            buffers: vec![
                ("table", table.collect()),
                ("plane", vec![0; groups as usize * 4]),
            ],
            weights: None,
        }
    };
    let unlike = planes.map(|plane| (plane, 0));
    let alternating = planes[..2].iter().map(|&plane| (plane, 1));
    unlike
        .into_iter()
        .chain(alternating)
        .map(&mut case)
        .collect()
}
