//! Kernels that work row by row: embeddings, norms, values one by one.

use lantern_kernels::{
    Part, bytes_of_params, embed, norm, padded,
    parts::{
        ACTIVATE_CAP, ACTIVATE_NONE, ACTIVATE_SCALE, GELU, NORM_ADD, NORM_IN_PLACE, NORM_LAYER,
        NORM_RMS, NORM_STORE, OF_POSITIONS, OF_TOKENS, SHIFT_BIAS, SHIFT_NONE,
    },
    pointwise,
};

use super::Emitter;
use crate::{
    graph::{Activation, Embed, Lookup, Norm, NormKind, RowCount, Tensor, VectorId},
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
        let lookup: &'static Part = match op.lookup {
            Lookup::Token => &OF_TOKENS,
            Lookup::Position => &OF_POSITIONS,
        };
        let matrix = &self.lowering.layout.matrices[op.table];
        let cols = matrix.cols;
        for (index, piece) in matrix.pieces.iter().enumerate() {
            let params = embed::Params {
                cols,
                rows: piece.rows,
                row_start: piece.row_start,
                scale: op.scale,
            };
            let binds = vec![
                ("weights", Binding::Weights(op.table, index)),
                ("x", Binding::Tensor(output)),
            ];
            let parts = [matrix.part(), lookup];
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
        let statistics: &'static Part = match op.kind {
            NormKind::Rms => &NORM_RMS,
            NormKind::Layer => &NORM_LAYER,
        };
        let (x_stride, y_stride) = (self.stride(op.x), self.stride(output));
        let whole = crate::graph::Groups {
            start: 0,
            count: 1,
            cols: self.cols(op.x),
            split: 1,
        };
        let groups = op.groups.unwrap_or(whole);
        let result: &'static Part = match (op.groups, step.epilogue) {
            (Some(_), _) => &NORM_IN_PLACE,
            (None, Epilogue::Add(_)) => &NORM_ADD,
            (None, _) => &NORM_STORE,
        };
        let params = norm::Params {
            cols: groups.cols,
            eps: op.eps,
            x_stride,
            y_stride,
            start: groups.start,
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
            .shader(&norm::NORM, &[statistics, result], &[]);
        let flow = self.flow(op.x, output);
        let params = bytes_of_params(&params);
        self.dispatch(shader, (&what, flow), binds, params, groups.count);
    }

    /// A bias, then an activation, on every value of a tensor, in place.
    pub(super) fn pointwise(
        &mut self,
        y: Tensor,
        bias: Option<VectorId>,
        activation: Option<Activation>,
    ) {
        let (part, factor): (&'static Part, f32) = match activation {
            None => (&ACTIVATE_NONE, 0.0),
            Some(Activation::Gelu) => (&GELU, 0.0),
            Some(Activation::Softcap(cap)) => (&ACTIVATE_CAP, cap),
            Some(other) => unreachable!("no family has an MLP of {other:?} without a gate"),
        };
        self.value_by_value(y, bias, part, factor);
    }

    /// `factor` times every value of a tensor, in place.
    pub(super) fn scale(&mut self, y: Tensor, factor: f32) {
        self.value_by_value(y, None, &ACTIVATE_SCALE, factor);
    }

    fn value_by_value(
        &mut self,
        y: Tensor,
        bias: Option<VectorId>,
        activation: &'static Part,
        factor: f32,
    ) {
        let cols = self.cols(y);
        let params = pointwise::Params {
            cols,
            stride: self.stride(y),
            factor,
        };
        let mut binds = vec![("y", Binding::Tensor(y))];
        binds.extend(bias.map(|bias| ("bias", Binding::Vector(bias))));
        let shift: &'static Part = if bias.is_some() {
            &SHIFT_BIAS
        } else {
            &SHIFT_NONE
        };
        let name = bias.map(|bias| self.lowering.layout.vectors[bias].name());
        let what = format!("{} ({cols})", name.unwrap_or_default());
        let parts = [shift, activation];
        let shader = self.lowering.shader(&pointwise::POINTWISE, &parts, &[]);
        let flow = self.flow(y, y);
        let last_row = self.spec(y).rows == RowCount::Fixed(1);
        let params = bytes_of_params(&params);
        let dispatch = self.dispatch(shader, (&what, flow), binds, params, cols);
        dispatch.last_row = last_row;
    }
}
