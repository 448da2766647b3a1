//! What adapters add beside a linear layer: y += scale B (A x).

use lantern_kernels::{
    bytes_of_params, glu, padded,
    parts::{ACTIVATE_SCALE, FINISH_ADD, GELU, SILU},
};

use super::{
    build::{Builder, Width, dispatch},
    dispatch::{Bind, Dispatch, Slot},
    linear::Linear,
};
use crate::model::{
    block::{MatrixId, VectorId},
    lora::Pair,
};

impl Builder<'_> {
    /// What adapters have beside the matrix `target`: the number of A, the factor, and the pair.
    fn pairs(&self, target: MatrixId) -> Vec<(MatrixId, f32, &Pair)> {
        let mut found = Vec::new();
        let mut first = self.layout.matrices.len();
        for (adapter, factor) in self.adapters {
            let pairs = adapter.0.pairs.iter().filter(|pair| pair.target == target);
            found.extend(pairs.map(|pair| (first + pair.a, factor * pair.scale, pair)));
            first += adapter.0.matrices.len();
        }
        found
    }

    /// Whether an adapter has something beside `target`.
    pub(super) fn is_adapted(&self, target: MatrixId) -> bool {
        !self.pairs(target).is_empty()
    }

    /// Adds to what `linear` stored or added.
    pub(super) fn adapted(&self, linear: &Linear, width: Width, all: &mut Vec<Dispatch>) {
        for (a, factor, pair) in self.pairs(linear.matrix) {
            let y_start = linear.y_start + pair.row_start;
            self.pair((a, factor), Linear { y_start, ..*linear }, width, all);
        }
    }

    /// `linear` by A and B in the place of its matrix, added to its y.
    fn pair(
        &self,
        (a, factor): (MatrixId, f32),
        linear: Linear,
        width: Width,
        all: &mut Vec<Dispatch>,
    ) {
        let rank = self.matrix(a).rows;
        let down = Linear::stored(a, (linear.x, linear.norm), (Slot::Rank, rank));
        self.plain(down, width, all);
        all.push(self.pointwise((Slot::Rank, rank), None, &ACTIVATE_SCALE, factor));
        let up = Linear {
            matrix: a + 1,
            x: Slot::Rank,
            norm: None,
            finish: &FINISH_ADD,
            ..linear
        };
        self.plain(up, width, all);
    }

    /// A gated unit whose gate and up, rows of `matrix` that alternate, adapters add to.
    pub(super) fn gated_adapted(
        &self,
        matrix: MatrixId,
        x: (Slot, Option<VectorId>),
        width: Width,
        all: &mut Vec<Dispatch>,
    ) {
        let ffn = self.config.ffn_width;
        let (both, delta) = ((Slot::GateUp, 2 * ffn), (Slot::Delta, 2 * ffn));
        self.plain(Linear::stored(matrix, x, both), width, all);
        // Nothing is added where an adapter has but one of the two.
        all.push(self.pointwise(delta, None, &ACTIVATE_SCALE, 0.0));
        for (a, factor, pair) in self.pairs(matrix) {
            let y_start = pair.tensor as u32 * ffn;
            let linear = Linear::stored(matrix, x, delta);
            self.pair((a, factor), Linear { y_start, ..linear }, width, all);
        }
        let params = glu::Params {
            cols: ffn,
            x_stride: padded(2 * ffn),
            y_stride: padded(ffn),
        };
        let shader = self.shader(&glu::GLU, &[self.activated(&SILU, &GELU)], &[]);
        let binds = vec![
            ("x", Bind::Slot(Slot::GateUp)),
            ("delta", Bind::Slot(Slot::Delta)),
            ("y", Bind::Slot(Slot::Gated)),
        ];
        let params = bytes_of_params(&params);
        all.push(dispatch(
            shader,
            "gate and up",
            "gate up → up",
            binds,
            params,
            ffn,
        ));
    }
}
