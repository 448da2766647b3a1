//! Mixers with a recurrent state, and the gates on what mixers find.

use lantern_kernels::{
    add, bytes_of_params, conv, decay, delta_net, delta_net_chunks, delta_net_weights, gate,
    gated_norm,
    parts::{ConvForm as FormPart, Decay, NormResult, OutputGate, ScanDecay as ScanPart, Selected},
    scan,
};

use super::Emitter;
use crate::{
    graph::{
        Activation, Add, Conv, ConvForm, DeltaNet, Gate, KeyHeads, Norm, Scan, ScanDecay, Tensor,
        TensorSpec,
    },
    plan::{dispatch::Binding, lowering::Width, step::Step},
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

/// Rows of a pass from which on a delta net computes them in chunks.
const CHUNKED_ROWS: u32 = 32;

/// Neighbouring value heads that share a key head.
fn repeat(op: &DeltaNet) -> u32 {
    match op.sharing {
        KeyHeads::Modulo => 1,
        KeyHeads::Grouped => op.value_heads / op.key_heads,
    }
}

/// A delta net's heads in words.
fn heads_of(op: &DeltaNet) -> String {
    let (heads, key_dim, value_dim) = (op.value_heads, op.key_dim, op.value_dim);
    format!("{heads} heads of {key_dim}×{value_dim}")
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
        match self.lowering.width {
            Width::Prefill(rows) if self.in_chunks(op, rows) => self.chunks(step, op, rows),
            _ => self.row_by_row(step, op),
        }
    }

    /// Whether rows are worth being computed in chunks, and can be.
    fn in_chunks(&self, op: &DeltaNet, rows: u32) -> bool {
        let gpu = self.lowering.gpu;
        let by_row = gpu.forced(&delta_net::DELTA_NET).is_some();
        let runs = |kernel| gpu.forced(kernel).is_some() || gpu.has_variant(kernel) && !by_row;
        rows >= CHUNKED_ROWS
            && !op.by_channel
            && self.lowering.sequences == 1
            && op.key_dim <= delta_net_chunks::KEY_DIM_MAX
            && runs(&delta_net_weights::DELTA_NET_WEIGHTS)
            && runs(&delta_net_chunks::DELTA_NET_CHUNKS)
    }

    /// The weights of all chunks, then one chunk after the other.
    fn chunks(&mut self, step: &Step, op: &DeltaNet, rows: u32) {
        let y = Emitter::output(step);
        let weights = self.chunk_weights(op, rows);
        let keys = op.key_heads * op.key_dim;
        let params = delta_net_chunks::Params {
            value_heads: op.value_heads,
            key_heads: op.key_heads,
            repeat: repeat(op),
            qkv_stride: self.stride(op.qkv),
            q_start: 0,
            k_start: keys,
            v_start: 2 * keys,
            y_stride: self.stride(y),
        };
        let binds = vec![
            ("qkv", Binding::Tensor(op.qkv)),
            ("chunk_weights", Binding::Tensor(weights)),
            ("y", Binding::Tensor(y)),
            ("delta_state", Binding::State(op.state)),
        ];
        let kernel = &delta_net_chunks::DELTA_NET_CHUNKS;
        let consts = [("KEY_DIM", op.key_dim), ("VALUE_DIM", op.value_dim)];
        let shader = self.lowering.shader(kernel, &[], &consts);
        let what = heads_of(op);
        let flow = self.flow(op.qkv, y);
        let params = bytes_of_params(&params);
        let dispatch = self.dispatch(shader, (&what, flow), binds, params, op.value_heads);
        let each = u64::from(2 * (3 * op.key_dim + delta_net_weights::CHUNK));
        dispatch.cost.operations = u64::from(op.value_heads * op.value_dim) * each;
    }

    fn chunk_weights(&mut self, op: &DeltaNet, rows: u32) -> Tensor {
        let chunks = rows.div_ceil(delta_net_weights::CHUNK);
        let cols = op.value_heads * delta_net_weights::WEIGHTS;
        let weights = self.declare(TensorSpec::fixed("chunks", chunks, cols));
        let params = delta_net_weights::Params {
            value_heads: op.value_heads,
            key_heads: op.key_heads,
            repeat: repeat(op),
            eps: op.eps,
            qkv_stride: self.stride(op.qkv),
            q_start: 0,
            k_start: op.key_heads * op.key_dim,
            gates_stride: self.stride(op.alpha.tensor),
            alpha_start: op.alpha.start,
            beta_start: op.beta.start,
        };
        let binds = vec![
            ("qkv", Binding::Tensor(op.qkv)),
            ("gates", Binding::Tensor(op.alpha.tensor)),
            ("a", Binding::Vector(op.a)),
            ("dt_bias", Binding::Vector(op.dt_bias)),
            ("chunk_weights", Binding::Tensor(weights)),
        ];
        let kernel = &delta_net_weights::DELTA_NET_WEIGHTS;
        let consts = [("KEY_DIM", op.key_dim)];
        let shader = self.lowering.shader(kernel, &[], &consts);
        let what = heads_of(op);
        let flow = self.flow(op.qkv, weights);
        let params = bytes_of_params(&params);
        let dispatch = self.dispatch(shader, (&what, flow), binds, params, op.value_heads);
        let chunk = delta_net_weights::CHUNK;
        let each = u64::from(2 * chunk * op.key_dim + chunk * chunk / 2);
        dispatch.cost.operations = u64::from(2 * op.value_heads) * each;
        weights
    }

    fn row_by_row(&mut self, step: &Step, op: &DeltaNet) {
        let y = Emitter::output(step);
        let decays = op.by_channel.then(|| self.decays(op));
        if decays.is_none() {
            assert_eq!(op.beta.tensor, op.alpha.tensor, "one tensor has both gates");
        }
        let keys = op.key_heads * op.key_dim;
        let params = delta_net::Params {
            value_heads: op.value_heads,
            key_heads: op.key_heads,
            repeat: repeat(op),
            eps: op.eps,
            qkv_stride: self.stride(op.qkv),
            q_start: 0,
            k_start: keys,
            v_start: 2 * keys,
            gates_stride: self.stride(op.beta.tensor),
            alpha_start: op.alpha.start,
            beta_start: op.beta.start,
            decays_stride: decays.map_or(0, |decays| self.stride(decays)),
            y_stride: self.stride(y),
        };
        let mut binds = vec![
            ("qkv", Binding::Tensor(op.qkv)),
            ("gates", Binding::Tensor(op.beta.tensor)),
            ("y", Binding::Tensor(y)),
            ("delta_state", Binding::State(op.state)),
        ];
        let decay = if let Some(decays) = decays {
            binds.push(("decays", Binding::Tensor(decays)));
            Decay::Channel
        } else {
            binds.push(("a", Binding::Vector(op.a)));
            binds.push(("dt_bias", Binding::Vector(op.dt_bias)));
            Decay::Head
        };
        let consts = [("KEY_DIM", op.key_dim), ("VALUE_DIM", op.value_dim)];
        let parts = [decay.part()];
        let shader = self.lowering.shader(&delta_net::DELTA_NET, &parts, &consts);
        let what = heads_of(op);
        let flow = self.flow(op.qkv, y);
        let units = op.value_heads * self.lowering.sequences;
        let params = bytes_of_params(&params);
        let operations = 8 * u64::from(op.value_heads * op.key_dim * op.value_dim);
        let dispatch = self.dispatch(shader, (&what, flow), binds, params, units);
        dispatch.cost.operations = operations;
    }

    /// The decay of each key of a delta net's heads.
    fn decays(&mut self, op: &DeltaNet) -> Tensor {
        let cols = op.value_heads * op.key_dim;
        let decays = self.declare(TensorSpec::per_row("decays", cols));
        let alpha = op.alpha;
        let params = decay::Params {
            cols,
            share: op.key_dim,
            x_stride: self.stride(alpha.tensor),
            x_start: alpha.start,
            y_stride: self.stride(decays),
        };
        let binds = vec![
            ("a", Binding::Vector(op.a)),
            ("dt_bias", Binding::Vector(op.dt_bias)),
            ("x", Binding::Tensor(alpha.tensor)),
            ("y", Binding::Tensor(decays)),
        ];
        let shader = self.lowering.shader(&decay::DECAY, &[], &[]);
        let what = format!("decay ({cols})");
        let flow = self.flow(alpha.tensor, decays);
        self.dispatch(shader, (&what, flow), binds, bytes_of_params(&params), cols);
        decays
    }

    pub(super) fn scan(&mut self, step: &Step, op: &Scan) {
        let y = Emitter::output(step);
        assert_eq!(op.b.tensor, op.c.tensor, "one tensor has b and c");
        let params = scan::Params {
            heads: op.heads,
            share: op.heads / op.groups,
            x_stride: self.stride(op.x),
            bc_stride: self.stride(op.b.tensor),
            b_start: op.b.start,
            c_start: op.c.start,
            dt_stride: self.stride(op.dt.tensor),
            dt_start: op.dt.start,
            gate_stride: self.stride(op.gates.tensor),
            gate_start: op.gates.start,
            y_stride: self.stride(y),
            y_start: op.into.map_or(0, |into| into.start),
            eps: op.normed.unwrap_or(0.0),
        };
        let binds = vec![
            ("x", Binding::Tensor(op.x)),
            ("bc", Binding::Tensor(op.b.tensor)),
            ("dt", Binding::Tensor(op.dt.tensor)),
            ("gates", Binding::Tensor(op.gates.tensor)),
            ("a_d_bias", Binding::Vector(op.a_d_bias)),
            ("y", Binding::Tensor(y)),
            ("ssm_state", Binding::State(op.state)),
        ];
        let decay = match op.decay {
            ScanDecay::Head => ScanPart::Head,
            ScanDecay::Channel => ScanPart::Channel,
        };
        let (head_dim, state_dim) = (op.head_dim, op.state_dim);
        let consts = [("HEAD_DIM", head_dim), ("STATE_DIM", state_dim)];
        let selected = match op.normed {
            Some(_) => Selected::Normed,
            None => Selected::Plain,
        };
        let parts = [decay.part(), selected.part()];
        let shader = self.lowering.shader(&scan::SCAN, &parts, &consts);
        let what = format!("{} heads of {head_dim}×{state_dim}", op.heads);
        let flow = self.flow(op.x, y);
        let units = op.heads * self.lowering.sequences;
        let params = bytes_of_params(&params);
        let values = u64::from(op.heads * head_dim) * u64::from(state_dim);
        let dispatch = self.dispatch(shader, (&what, flow), binds, params, units);
        dispatch.cost.operations = 5 * values;
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
