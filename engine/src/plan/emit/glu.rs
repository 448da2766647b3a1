//! Gated units of what lies in memory.

use lantern_kernels::{
    bytes_of_params, glu, padded,
    parts::{GluBias, Unit},
};

use super::Emitter;
use crate::{
    graph::{Activation, GateUp, Glu, Tensor},
    plan::{dispatch::Binding, step::Step},
};

/// Gates or ups: where they begin in a row, how far apart they stand, and how far rows do.
#[derive(Clone, Copy)]
struct Values {
    tensor: Tensor,
    start: u32,
    step: u32,
    stride: u32,
}

/// The kernel's unit.
fn unit(activation: Activation) -> Unit {
    match activation {
        Activation::Silu => Unit::Silu,
        Activation::Gelu => Unit::Gelu,
        Activation::GeluErf => Unit::GeluErf,
        Activation::ClampedSwiglu => Unit::Clamped,
        other => unreachable!("no gated unit has {other:?}"),
    }
}

impl Emitter<'_> {
    /// A unit that no step fuses.
    pub(super) fn plain_glu(&mut self, step: &Step, op: &Glu) {
        let y = Emitter::output(step);
        let row = |cols| padded(cols);
        let (gates, ups) = match op.gate_up {
            GateUp::Alternating(both) => return self.alternating_glu(op, both, None, y),
            GateUp::Apart(gate, up) => {
                let own = |tensor| Values {
                    tensor,
                    start: 0,
                    step: 1,
                    stride: row(op.cols),
                };
                (own(gate), own(up))
            }
            GateUp::Halves(tensor) => {
                let half = |start| Values {
                    tensor,
                    start,
                    step: 1,
                    stride: row(2 * op.cols),
                };
                (half(0), half(op.cols))
            }
            GateUp::Beside(gate, up) => {
                let columns = |columns: crate::graph::Columns| Values {
                    tensor: columns.tensor,
                    start: columns.start,
                    step: 1,
                    stride: self.stride(columns.tensor),
                };
                (columns(gate), columns(up))
            }
        };
        self.glu(op, [gates, ups], None, y);
    }

    /// A unit of gates and ups that alternate, with what is added to all gates and then to all ups.
    pub(super) fn alternating_glu(
        &mut self,
        op: &Glu,
        both: Tensor,
        delta: Option<Tensor>,
        y: Tensor,
    ) {
        let values = |start| Values {
            tensor: both,
            start,
            step: 2,
            stride: padded(2 * op.cols),
        };
        self.glu(op, [values(0), values(1)], delta, y);
    }

    fn glu(&mut self, op: &Glu, [gates, ups]: [Values; 2], delta: Option<Tensor>, y: Tensor) {
        let params = glu::Params {
            cols: op.cols,
            each: op.groups,
            gate_stride: gates.stride,
            gate_start: gates.start,
            gate_step: gates.step,
            up_stride: ups.stride,
            up_start: ups.start,
            up_step: ups.step,
            y_stride: padded(op.cols),
            experts: op.bias.map_or(0, |bias| bias.n_experts),
        };
        let mut binds = vec![
            ("gates", Binding::Tensor(gates.tensor)),
            ("ups", Binding::Tensor(ups.tensor)),
            ("y", Binding::Tensor(y)),
        ];
        let bias = match (delta, op.bias) {
            (Some(delta), None) => {
                binds.push(("delta", Binding::Tensor(delta)));
                GluBias::Delta
            }
            (None, Some(bias)) => {
                binds.push(("glu_biases", Binding::Vector(bias.vector)));
                binds.push(("expert_ids", Binding::Tensor(bias.ids)));
                GluBias::Expert
            }
            (None, None) => GluBias::None,
            (Some(_), Some(_)) => unreachable!("LoRA beside biases of experts is refused"),
        };
        let parts = [unit(op.activation).part(), bias.part()];
        let shader = self.lowering.shader(&glu::GLU, &parts, &[]);
        let flow = self.flow(gates.tensor, y);
        let params = bytes_of_params(&params);
        self.dispatch(shader, ("gate and up", flow), binds, params, op.cols);
    }
}
