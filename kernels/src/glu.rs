//! The gated unit (Shazeer 2020) by itself, where no kernel that makes gate and up can apply it: with adapters beside them,
//! with biases of experts, of gates and ups that come from elsewhere.

use crate::{
    Call, Case, Kernel, bytes_of_params,
    call::{activations, words},
    kernel::{LANES_64, lane_grid},
    padded,
    parts::{GluBias, Unit},
    pointwise::{gelu, gelu_erf, sigmoid, silu},
    random::Random,
    tolerance,
};

/// The kernel; units are results.
pub static GLU: Kernel = Kernel {
    name: "glu",
    source: include_str!("glu.wgsl"),
    uses: &[],
    sockets: &[Unit::SOCKET, GluBias::SOCKET],
    variants: &LANES_64,
    params: Params::FIELDS,
    outputs: &["y"],
    grid: lane_grid,
    reference,
    tolerance: tolerance::f32,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Results of a row.
        cols: u32,
        /// Rows of a token: one, or one for each expert that it uses.
        each: u32,
        /// From a row's gates to the next's, in f32.
        gate_stride: u32,
        /// Column of a row's first gate.
        gate_start: u32,
        /// From a gate to its neighbour: 2 where gates and ups alternate.
        gate_step: u32,
        /// From a row's ups to the next's, in f32.
        up_stride: u32,
        /// Column of a row's first up.
        up_start: u32,
        /// From an up to its neighbour.
        up_step: u32,
        /// From a row's results to the next's, in f32.
        y_stride: u32,
        /// Experts that there are, for `GluBias::Expert`.
        experts: u32,
    }
}

/// The unit of `Unit::Clamped`: gpt-oss's, with values that its authors fixed.
fn clamped(gate: f64, up: f64) -> f64 {
    let (gate, up) = (gate.min(7.0), up.clamp(-7.0, 7.0));
    gate * sigmoid(1.702 * gate) * (up + 1.0)
}

/// `y` (tokens, each, y_stride) from `gates` (tokens, each, gate_stride) and `ups` (tokens, each, up_stride), and what is
/// added to them: `delta` (tokens, each, gate_stride), all gates' and then all ups', or `glu_biases` (2, experts, cols) of the
/// expert in `expert_ids` (tokens, each).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let cols = p.cols as usize;
    let (gates, ups) = (call.floats("gates"), call.floats("ups"));
    let unit = Unit::of(&call.parts).expect("a part with a gated unit");
    let more = summands(call, &p);
    for row in 0..(call.tokens * p.each) as usize {
        let gates = &gates[row * p.gate_stride as usize + p.gate_start as usize..];
        let ups = &ups[row * p.up_stride as usize + p.up_start as usize..];
        let y = &mut call.floats_mut("y")[row * p.y_stride as usize..];
        for col in 0..cols {
            let (gate_more, up_more) = more(row, col);
            let gate = f64::from(gates[col * p.gate_step as usize]) + gate_more;
            let up = f64::from(ups[col * p.up_step as usize]) + up_more;
            y[col] = match unit {
                Unit::Silu => silu(gate) * up,
                Unit::Gelu => gelu(gate) * up,
                Unit::GeluErf => gelu_erf(gate) * up,
                Unit::Clamped => clamped(gate, up),
            } as f32;
        }
    }
}

/// Summands of gate and up, by row and column.
fn summands(call: &mut Call, p: &Params) -> Box<dyn Fn(usize, usize) -> (f64, f64)> {
    let (cols, experts) = (p.cols as usize, p.experts as usize);
    match GluBias::of(&call.parts).expect("a part that adds") {
        GluBias::None => Box::new(|_, _| (0.0, 0.0)),
        GluBias::Delta => {
            let (delta, stride) = (call.floats("delta"), p.gate_stride as usize);
            Box::new(move |row, col| {
                let delta = &delta[row * stride..];
                (delta[col].into(), delta[cols + col].into())
            })
        }
        GluBias::Expert => {
            let bias = call.floats("glu_biases");
            let ids = call.words("expert_ids").clone();
            Box::new(move |row, col| {
                let at = ids[row] as usize * cols + col;
                (bias[at].into(), bias[experts * cols + at].into())
            })
        }
    }
}

/// Gates and ups that alternate, that follow each other, and that lie elsewhere; all units; what is added, or nothing;
/// widths odd and even, several rows of a token, values beyond any clamp.
fn cases() -> Vec<Case> {
    let mut random = Random::new(16);
    let mut cases = Vec::new();
    for (unit, bias, cols, each, layout) in [
        (Unit::Silu, GluBias::Delta, 7, 1, [0, 2, 1, 2]),
        (Unit::Gelu, GluBias::Delta, 96, 1, [0, 2, 1, 2]),
        (Unit::Silu, GluBias::Delta, 20, 3, [0, 2, 1, 2]),
        (Unit::Gelu, GluBias::None, 24, 3, [0, 1, 24, 1]),
        (Unit::Gelu, GluBias::None, 12, 1, [0, 1, 36, 1]),
        (Unit::Silu, GluBias::None, 33, 1, [0, 1, 0, 1]),
        (Unit::GeluErf, GluBias::None, 40, 1, [0, 1, 40, 1]),
        (Unit::GeluErf, GluBias::Delta, 96, 1, [0, 2, 1, 2]),
        (Unit::Clamped, GluBias::Expert, 32, 3, [0, 2, 1, 2]),
    ] {
        cases.push(case(&mut random, (unit, bias), (cols, each), layout));
    }
    cases
}

fn case(
    random: &mut Random,
    (unit, bias): (Unit, GluBias),
    (cols, each): (u32, u32),
    [gate_start, gate_step, up_start, up_step]: [u32; 4],
) -> Case {
    const EXPERTS: u32 = 5;
    let tokens = 2;
    let gate_stride = padded(gate_start + gate_step * cols.max(cols * gate_step));
    let up_stride = if gate_step == 2 {
        gate_stride
    } else {
        padded(up_start + up_step * cols)
    };
    let y_stride = padded(cols);
    let mut gates = activations(random, tokens * each, gate_stride);
    gates[..4].copy_from_slice(&words(&[60.0, -60.0, 9.0, -9.0]));
    let ids = (0..tokens * each).map(|row| row * 3 % EXPERTS).collect();
    Case {
        name: format!("{each} {cols} from {gate_start} and {up_start} {unit:?} {bias:?}"),
        parts: vec![unit.part(), bias.part()],
        consts: vec![],
        params: bytes_of_params(&Params {
            cols,
            each,
            gate_stride,
            gate_start,
            gate_step,
            up_stride,
            up_start,
            up_step,
            y_stride,
            experts: EXPERTS,
        }),
        units: cols,
        tokens,
        buffers: vec![
            ("gates", gates),
            ("ups", activations(random, tokens * each, up_stride)),
            ("delta", activations(random, tokens * each, gate_stride)),
            (
                "glu_biases",
                words(&random.floats((2 * EXPERTS * cols) as usize)),
            ),
            ("expert_ids", ids),
            ("y", vec![0; (tokens * each * y_stride) as usize]),
        ],
        weights: None,
    }
}
