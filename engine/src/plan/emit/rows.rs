//! Kernels that work row by row: embeddings, norms, values one by one.

use lantern_kernels::{
    bytes_of_params, embed, norm, padded,
    parts::{
        Activation as ActivationPart, Lookup as LookupPart, NormResult, Pooling, Shift, Statistics,
    },
    pointwise, pool,
};

use super::Emitter;
use crate::{
    graph::{
        Activation, Embed, Groups, Lookup, Norm, NormKind, Pool, PooledRow, RowCount, Scale,
        Tensor, VectorId,
    },
    plan::{
        dispatch::Binding,
        step::{Epilogue, Step},
    },
};

impl Emitter<'_> {
    /// The tensor that a step makes.
    pub(super) fn output(step: &Step) -> Tensor {
        step.output.expect("only stores make no tensor")
    }

    pub(super) fn embed(&mut self, step: &Step, op: &Embed) {
        let output = Emitter::output(step);
        let lookup = match op.lookup {
            Lookup::Token => LookupPart::Tokens,
            Lookup::Position => LookupPart::Positions,
        };
        let matrix = &self.lowering.layout.matrices[op.table];
        let cols = matrix.cols;
        for (index, piece) in matrix.pieces.iter().enumerate() {
            let params = embed::Params {
                cols,
                rows: piece.rows,
                row_start: piece.row_start,
                scale: op.scale,
                x_stride: self.stride(output),
            };
            let binds = vec![
                ("weights", Binding::Weights(op.table, index)),
                ("x", Binding::Tensor(output)),
            ];
            let parts = [&matrix.format.part, lookup.part()];
            let shader = self.lowering.shader(&embed::EMBED, &parts, &[]);
            let what = format!("{} ({}×{cols})", matrix.name, piece.rows);
            let flow = format!("tokens → {}", self.word(output));
            let params = bytes_of_params(&params);
            self.dispatch(shader, (&what, flow), binds, params, padded(cols) / 32);
        }
    }

    pub(super) fn norm(&mut self, step: &Step, op: &Norm) {
        if op.gate.is_some() {
            return self.gated_norm(step, op);
        }
        let output = Emitter::output(step);
        let statistics = match op.kind {
            NormKind::Rms => Statistics::Rms,
            NormKind::Layer if op.bias.is_none() => Statistics::LayerPlain,
            NormKind::Layer => Statistics::Layer,
        };
        let (x_stride, y_stride) = (self.stride(op.x), self.stride(output));
        let whole = Groups {
            alone: true,
            start: 0,
            count: 1,
            cols: self.cols(op.x),
            split: 1,
        };
        let groups = op.groups.unwrap_or(whole);
        let result = match step.epilogue {
            _ if op.in_place() => NormResult::InPlace,
            Epilogue::Add(_) => NormResult::Add,
            _ => NormResult::Store,
        };
        let params = norm::Params {
            cols: groups.cols,
            eps: op.eps,
            x_stride,
            y_stride,
            start: groups.start,
            y_start: if groups.alone { 0 } else { groups.start },
            split: groups.split,
        };
        let mut binds = vec![
            ("norm_weight", Binding::Vector(op.weight)),
            ("x", Binding::Tensor(op.x)),
            ("y", Binding::Tensor(output)),
        ];
        binds.extend(op.bias.map(|bias| ("norm_bias", Binding::Vector(bias))));
        let name = self.lowering.layout.vectors[op.weight].name();
        let what = format!("{name} ({})", groups.cols);
        let shader = self
            .lowering
            .shader(&norm::NORM, &[statistics.part(), result.part()], &[]);
        let flow = self.flow(op.x, output);
        let params = bytes_of_params(&params);
        self.dispatch(shader, (&what, flow), binds, params, groups.count);
    }

    pub(super) fn pool(&mut self, step: &Step, op: &Pool) {
        let y = Emitter::output(step);
        let cols = self.cols(op.x);
        let part = match op.row {
            PooledRow::Mean => Pooling::Mean,
            PooledRow::First => Pooling::First,
            PooledRow::Last => Pooling::Last,
        };
        let params = pool::Params {
            cols,
            x_stride: self.stride(op.x),
            y_stride: self.stride(y),
        };
        let binds = vec![
            ("x", Binding::Tensor(op.x)),
            ("y", Binding::Tensor(y)),
            ("pooled", Binding::State(op.state)),
        ];
        let shader = self.lowering.shader(&pool::POOL, &[part.part()], &[]);
        let what = format!("{part:?} ({cols})").to_lowercase();
        let flow = self.flow(op.x, y);
        let params = bytes_of_params(&params);
        self.dispatch(shader, (&what, flow), binds, params, cols);
    }

    /// A bias, then an activation, on every value of a tensor, in place.
    pub(super) fn pointwise(
        &mut self,
        y: Tensor,
        bias: Option<VectorId>,
        activation: Option<Activation>,
    ) {
        let mut params = self.pointwise_params(y, 0.0);
        let part = match activation {
            None => ActivationPart::None,
            Some(Activation::Gelu) => ActivationPart::Gelu,
            Some(Activation::GeluErf) => ActivationPart::GeluErf,
            Some(Activation::Relu2) => ActivationPart::Relu2,
            Some(Activation::Sigmoid) => ActivationPart::Sigmoid,
            Some(Activation::Softcap(cap)) => {
                params.factor = cap;
                ActivationPart::Cap
            }
            Some(Activation::Xielu(numbers)) => {
                (params.alpha_p, params.alpha_n) = (numbers.alpha_p, numbers.alpha_n);
                (params.beta, params.eps) = (numbers.beta, numbers.eps);
                ActivationPart::Xielu
            }
            Some(other) => unreachable!("no family has an MLP of {other:?} without a gate"),
        };
        self.value_by_value(y, bias, part, &params);
    }

    /// `factor` times every value of a tensor, in place.
    pub(super) fn scale(&mut self, y: Tensor, factor: f32) {
        let params = self.pointwise_params(y, factor);
        self.value_by_value(y, None, ActivationPart::Scale, &params);
    }

    /// Every column of a tensor times its factor, in place.
    pub(super) fn scale_columns(&mut self, op: &Scale) {
        let params = self.pointwise_params(op.x, 0.0);
        let shift = (Shift::Factor, Some(op.factor));
        self.shifted(op.x, shift, ActivationPart::None, &params);
    }

    fn pointwise_params(&self, y: Tensor, factor: f32) -> pointwise::Params {
        pointwise::Params {
            cols: self.cols(y),
            stride: self.stride(y),
            factor,
            ..pointwise::Params::default()
        }
    }

    fn value_by_value(
        &mut self,
        y: Tensor,
        bias: Option<VectorId>,
        activation: ActivationPart,
        params: &pointwise::Params,
    ) {
        let shift = if bias.is_some() {
            Shift::Bias
        } else {
            Shift::None
        };
        self.shifted(y, (shift, bias), activation, params);
    }

    fn shifted(
        &mut self,
        y: Tensor,
        (shift, bias): (Shift, Option<VectorId>),
        activation: ActivationPart,
        params: &pointwise::Params,
    ) {
        let cols = params.cols;
        let mut binds = vec![("y", Binding::Tensor(y))];
        binds.extend(bias.map(|bias| ("bias", Binding::Vector(bias))));
        let name = bias.map(|bias| self.lowering.layout.vectors[bias].name());
        let what = format!("{} ({cols})", name.unwrap_or_default());
        let parts = [shift.part(), activation.part()];
        let shader = self.lowering.shader(&pointwise::POINTWISE, &parts, &[]);
        let flow = self.flow(y, y);
        let last_row = self.spec(y).rows == RowCount::Fixed(1);
        let params = bytes_of_params(params);
        let dispatch = self.dispatch(shader, (&what, flow), binds, params, cols);
        dispatch.last_row = last_row;
    }
}
