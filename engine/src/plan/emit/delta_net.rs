//! Mixers with a recurrent state, and the gates on what mixers find.

use lantern_kernels::{
    add, bytes_of_params, conv, delta_net, gate, gated_norm,
    parts::{ConvForm as FormPart, NormResult, OutputGate},
};

use super::Emitter;
use crate::{
    graph::{Activation, Add, Conv, ConvForm, DeltaNet, Gate, KeyHeads, Norm},
    plan::{dispatch::Binding, step::Step},
};

/// The kernels' activation of an output gate.
fn output_gate(activation: Activation) -> OutputGate {
    match activation {
        Activation::Sigmoid => OutputGate::Sigmoid,
        Activation::Identity => OutputGate::None,
        Activation::Silu => OutputGate::Silu,
        Activation::Softplus => OutputGate::Softplus,
        other => unreachable!("no output is gated by {other:?}"),
    }
}

impl Emitter<'_> {
    pub(super) fn conv(&mut self, step: &Step, op: &Conv) {
        let y = Emitter::output(step);
        let sequences = self.lowering.sequences;
        let params = conv::Params {
            channels: op.channels,
            x_stride: self.stride(op.x.tensor),
            x_start: op.x.start,
            y_stride: self.stride(y),
        };
        let (form, bias) = match op.form {
            ConvForm::Silu(None) => (FormPart::Silu, None),
            ConvForm::Silu(bias) => (FormPart::SiluBias, bias),
            ConvForm::Gated => (FormPart::Gated, None),
        };
        let mut binds = vec![
            ("conv_weight", Binding::Vector(op.weight)),
            ("x", Binding::Tensor(op.x.tensor)),
            ("y", Binding::Tensor(y)),
            ("conv_state", Binding::State(op.state)),
        ];
        let consts = [("KERNEL_SIZE", op.kernel)];
        binds.extend(bias.map(|bias| ("conv_bias", Binding::Vector(bias))));
        let shader = self.lowering.shader(&conv::CONV, &[form.part()], &consts);
        let what = format!("{} channels by {}", op.channels, op.kernel);
        let flow = self.flow(op.x.tensor, y);
        let units = op.channels * sequences;
        self.dispatch(
            shader,
            (&what, flow),
            binds,
            bytes_of_params(&params),
            units,
        );
    }

    pub(super) fn delta_net(&mut self, step: &Step, op: &DeltaNet) {
        let y = Emitter::output(step);
        assert_eq!(op.beta.tensor, op.alpha.tensor, "one tensor has both gates");
        let keys = op.key_heads * op.key_dim;
        let params = delta_net::Params {
            value_heads: op.value_heads,
            key_heads: op.key_heads,
            repeat: match op.sharing {
                KeyHeads::Modulo => 1,
                KeyHeads::Grouped => op.value_heads / op.key_heads,
            },
            eps: op.eps,
            qkv_stride: self.stride(op.qkv),
            q_start: 0,
            k_start: keys,
            v_start: 2 * keys,
            gates_stride: self.stride(op.alpha.tensor),
            alpha_start: op.alpha.start,
            beta_start: op.beta.start,
            y_stride: self.stride(y),
        };
        let binds = vec![
            ("qkv", Binding::Tensor(op.qkv)),
            ("gates", Binding::Tensor(op.alpha.tensor)),
            ("a", Binding::Vector(op.a)),
            ("dt_bias", Binding::Vector(op.dt_bias)),
            ("y", Binding::Tensor(y)),
            ("delta_state", Binding::State(op.state)),
        ];
        let consts = [("KEY_DIM", op.key_dim), ("VALUE_DIM", op.value_dim)];
        let shader = self.lowering.shader(&delta_net::DELTA_NET, &[], &consts);
        let (key_dim, value_dim) = (op.key_dim, op.value_dim);
        let what = format!("{} heads of {key_dim}×{value_dim}", op.value_heads);
        let flow = self.flow(op.qkv, y);
        let units = op.value_heads * self.lowering.sequences;
        let params = bytes_of_params(&params);
        let operations = 8 * u64::from(op.value_heads * key_dim * value_dim);
        let dispatch = self.dispatch(shader, (&what, flow), binds, params, units);
        dispatch.cost.operations = operations;
    }

    /// RMSNorm of heads, times a gate, in place.
    pub(super) fn gated_norm(&mut self, step: &Step, op: &Norm) {
        let y = Emitter::output(step);
        let (Some(groups), Some(gate)) = (op.groups, op.gate) else {
            unreachable!("gated norms are of heads");
        };
        let params = gated_norm::Params {
            head_dim: groups.cols,
            eps: op.eps,
            x_stride: self.stride(op.x),
            y_stride: self.stride(y),
            gate_stride: self.stride(gate.z.tensor),
            gate_start: gate.z.start,
        };
        let binds = vec![
            ("norm_weight", Binding::Vector(op.weight)),
            ("gate", Binding::Tensor(gate.z.tensor)),
            ("y", Binding::Tensor(y)),
        ];
        let parts = [
            NormResult::InPlace.part(),
            output_gate(gate.activation).part(),
        ];
        let shader = self.lowering.shader(&gated_norm::GATED_NORM, &parts, &[]);
        let name = self.lowering.layout.vectors[op.weight].name();
        let what = format!("{name} ({})", groups.cols);
        let flow = self.flow(op.x, y);
        let params = bytes_of_params(&params);
        self.dispatch(shader, (&what, flow), binds, params, groups.count);
    }

    /// b added to a, in place, where no step that makes b can do so.
    pub(super) fn add(&mut self, op: &Add) {
        let cols = self.cols(op.a);
        let params = add::Params {
            cols,
            x_stride: self.stride(op.b),
            y_stride: self.stride(op.a),
        };
        let binds = vec![("x", Binding::Tensor(op.b)), ("y", Binding::Tensor(op.a))];
        let shader = self.lowering.shader(&add::ADD, &[], &[]);
        let flow = self.flow(op.b, op.a);
        let what = format!("sum ({cols})");
        self.dispatch(shader, (&what, flow), binds, bytes_of_params(&params), cols);
    }

    /// x times an activated gate, in place.
    pub(super) fn gate(&mut self, step: &Step, op: &Gate) {
        let y = Emitter::output(step);
        let cols = self.cols(y);
        let params = gate::Params {
            cols,
            share: op.share,
            x_stride: if op.dense {
                self.cols(op.gate.tensor)
            } else {
                self.stride(op.gate.tensor)
            },
            x_start: op.gate.start,
            y_stride: self.stride(y),
        };
        let binds = vec![
            ("x", Binding::Tensor(op.gate.tensor)),
            ("y", Binding::Tensor(y)),
        ];
        let parts = [output_gate(op.activation).part()];
        let shader = self.lowering.shader(&gate::GATE, &parts, &[]);
        let what = format!("gate ({cols})");
        let flow = self.flow(op.gate.tensor, y);
        self.dispatch(shader, (&what, flow), binds, bytes_of_params(&params), cols);
    }
}
