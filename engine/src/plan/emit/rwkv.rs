//! Interpolations and the state of RWKV.

use lantern_kernels::{bytes_of_params, lerp, parts::LerpWeight as WeightPart, wkv7};

use super::Emitter;
use crate::{
    graph::{Lerp, LerpWeight, Wkv7},
    plan::{dispatch::Binding, step::Step},
};

impl Emitter<'_> {
    pub(super) fn lerp(&mut self, step: &Step, op: &Lerp) {
        let y = Emitter::output(step);
        let cols = self.cols(y);
        let (part, weight, weight_start) = match op.weight {
            LerpWeight::Columns(vector, start) => {
                (WeightPart::Columns, Binding::Vector(vector), start)
            }
            LerpWeight::Each(tensor) => (WeightPart::Each, Binding::Tensor(tensor), 0),
        };
        let params = lerp::Params {
            cols,
            stride: self.stride(y),
            weight_start,
        };
        let binds = vec![
            ("x", Binding::Tensor(op.x)),
            ("to", Binding::Tensor(op.to)),
            ("y", Binding::Tensor(y)),
            ("lerp_weight", weight),
        ];
        let shader = self.lowering.shader(&lerp::LERP, &[part.part()], &[]);
        let what = format!("lerp ({cols})");
        let flow = self.flow(op.x, y);
        self.dispatch(shader, (&what, flow), binds, bytes_of_params(&params), cols);
    }

    pub(super) fn wkv7(&mut self, step: &Step, op: &Wkv7) {
        let y = Emitter::output(step);
        let params = wkv7::Params {
            heads: op.heads,
            stride: self.stride(y),
            eps: op.eps,
        };
        let binds = vec![
            ("wkv_vectors", Binding::Vector(op.vectors)),
            ("decays", Binding::Tensor(op.w)),
            ("rates", Binding::Tensor(op.a)),
            ("k", Binding::Tensor(op.k)),
            ("v", Binding::Tensor(op.v)),
            ("y", Binding::Tensor(y)),
            ("wkv_state", Binding::State(op.state)),
        ];
        let consts = [("HEAD_DIM", op.head_dim)];
        let shader = self.lowering.shader(&wkv7::WKV7, &[], &consts);
        let what = format!("{} heads of {}", op.heads, op.head_dim);
        let flow = self.flow(op.k, y);
        let units = op.heads * self.lowering.sequences;
        let params = bytes_of_params(&params);
        let operations = 10 * u64::from(op.heads * op.head_dim * op.head_dim);
        let dispatch = self.dispatch(shader, (&what, flow), binds, params, units);
        dispatch.cost.operations = operations;
    }
}
