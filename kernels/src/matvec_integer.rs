//! Matrix times vector in integers: activations come as pairs of bytes from `quantise`, weights as the bytes they are.
//! Its error is that of activations of sixteen bits, 32 of which share a scale: never where exact results are wanted.

use crate::{
    Call, Case, FORMATS, Kernel, Variant, bytes_of_params,
    formats::BYTES,
    matvec, padded,
    parts::{
        Act, Epilogue, F16X2_BITS, F16X2_UNPACK, Input, PACKED, PackedX, REDUCE_NONE,
        REDUCE_SUBGROUP, REDUCE_WORKGROUP,
    },
    quantise::{packed, unpacked},
    random::Random,
    tolerance,
};

/// The kernel; units are rows. The shader's constant `X_LENGTH` is padded columns / 32.
pub static MATVEC_INTEGER: Kernel = Kernel {
    name: "matvec_integer",
    source: include_str!("matvec_integer.wgsl"),
    uses: &[&PACKED],
    sockets: &[BYTES, PackedX::SOCKET, Epilogue::SOCKET],
    variants: &[
        Variant {
            name: "integer_rows",
            parts: &[&REDUCE_NONE, &F16X2_UNPACK],
            consts: &[("WORKGROUP_SIZE", 8), ("LANES_PER_ROW", 1), ("ROWS", 4)],
            software: true,
        },
        Variant {
            name: "integer_subgroup",
            parts: &[&REDUCE_SUBGROUP, &F16X2_BITS],
            consts: &[("WORKGROUP_SIZE", 32), ("LANES_PER_ROW", 32), ("ROWS", 4)],
            software: false,
        },
        Variant {
            name: "integer_workgroup",
            parts: &[&REDUCE_WORKGROUP, &F16X2_BITS],
            consts: &[("WORKGROUP_SIZE", 32), ("LANES_PER_ROW", 32), ("ROWS", 4)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["y"],
    grid: matvec::grid,
    reference,
    tolerance: tolerance::linear,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Rows of this piece of the matrix.
        rows: u32,
        /// Columns: the width of x.
        cols: u32,
        /// Where in a row of y the results go.
        y_start: u32,
    }
}

/// One token's products with every row, summed in f64; `x` are all tokens, packed.
pub(crate) fn products(call: &mut Call, cols: u32, token: usize) -> Vec<f64> {
    let stride = padded(cols) as usize;
    let x = unpacked(call.words("x"));
    let x = &x[token * stride..][..stride];
    let dot = |row: &[f32]| row.iter().zip(x).map(|(&w, &x)| f64::from(w) * x).sum();
    call.weights.chunks_exact(stride).map(dot).collect()
}

/// `y` (rows) from `x` (groups).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let results = products(call, p.cols, 0);
    matvec::write_results(call, p.y_start as usize, &results);
}

/// Every quantised format and epilogue; rows that fill no workgroup; odd rows; real widths.
fn cases() -> Vec<Case> {
    let mut random = Random::new(13);
    let mut cases = Vec::new();
    for format in FORMATS.iter().filter(|f| f.has_bytes()) {
        for (epilogue, rows, cols) in [
            (Epilogue::Store, 301, 576),
            (Epilogue::Store, 1, 32),
            (Epilogue::Add, 133, 1536),
            (Epilogue::Glu(Act::Silu), 70, 576),
            (Epilogue::Gate(Act::Silu), 9, 64),
        ] {
            if !format.in_full() && rows < 100 {
                continue;
            }
            let uniform = cols != 1536;
            let cols = format.whole(cols);
            let shape = (rows, cols, 1);
            let mut case = matvec::case(format, (Input::Plain, epilogue), shape, &mut random);
            let x = if uniform {
                PackedX::Uniform
            } else {
                PackedX::Storage
            };
            case.parts = vec![&format.part, x.part(), epilogue.part()];
            case.consts = vec![("X_LENGTH", padded(cols) / 32)];
            case.params = bytes_of_params(&Params {
                rows,
                cols,
                y_start: 64,
            });
            let floats: &[f32] = bytemuck::cast_slice(&case.buffers[0].1);
            case.buffers[0].1 = packed(floats);
            cases.push(case);
        }
    }
    cases
}
