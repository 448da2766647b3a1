//! Token shifts and the state of RWKV.

use lantern_kernels::{bytes_of_params, parts::Values, token_shift, wkv7};

use super::Emitter;
use crate::{
    graph::{TokenShift, Wkv7},
    plan::{dispatch::Binding, step::Step},
};

impl Emitter<'_> {
    pub(super) fn token_shift(&mut self, step: &Step, op: &TokenShift) {
        let y = Emitter::output(step);
        let params = token_shift::Params {
            channels: op.channels,
            x_stride: self.stride(op.x),
            y_stride: self.stride(y),
            y_step: op.step(),
        };
        let binds = vec![
            ("shares", Binding::Vector(op.shares)),
            ("x", Binding::Tensor(op.x)),
            ("y", Binding::Tensor(y)),
            ("shift_state", Binding::State(op.state)),
        ];
        let consts = [("RESULTS", op.results)];
        let kernel = &token_shift::TOKEN_SHIFT;
        let shader = self.lowering.shader(kernel, &[], &consts);
        let what = format!("{} of {} channels", op.results, op.channels);
        let flow = self.flow(op.x, y);
        let units = op.channels * self.lowering.sequences;
        let params = bytes_of_params(&params);
        self.dispatch(shader, (&what, flow), binds, params, units);
    }

    pub(super) fn wkv7(&mut self, step: &Step, op: &Wkv7) {
        let y = Emitter::output(step);
        let first = op.first_values;
        let params = wkv7::Params {
            heads: op.heads,
            rkv_stride: self.stride(op.rkv),
            made_stride: self.stride(op.made),
            first_stride: first.map_or(0, |first| self.stride(first.tensor)),
            first_start: first.map_or(0, |first| first.start),
            y_stride: self.stride(y),
            eps: op.eps,
        };
        let mut binds = vec![
            ("wkv_vectors", Binding::Vector(op.vectors)),
            ("rkv", Binding::Tensor(op.rkv)),
            ("made", Binding::Tensor(op.made)),
            ("y", Binding::Tensor(y)),
            ("wkv_state", Binding::State(op.state)),
        ];
        binds.extend(first.map(|first| ("first_values", Binding::Tensor(first.tensor))));
        let values = match first {
            Some(_) => Values::Mixed,
            None => Values::Own,
        };
        let consts = [("HEAD_DIM", op.head_dim)];
        let shader = self.lowering.shader(&wkv7::WKV7, &[values.part()], &consts);
        let what = format!("{} heads of {}", op.heads, op.head_dim);
        let flow = self.flow(op.rkv, y);
        let units = op.heads * self.lowering.sequences;
        let params = bytes_of_params(&params);
        let operations = 10 * u64::from(op.heads * op.head_dim * op.head_dim);
        let dispatch = self.dispatch(shader, (&what, flow), binds, params, units);
        dispatch.cost.operations = operations;
    }
}
