//! What LoRAs add beside a linear layer: y += scale B (A x).

use lantern_kernels::{
    bytes_of_params, glu, padded,
    parts::{ACTIVATE_SCALE, FINISH_ADD, FINISH_STORE, GELU, SILU},
};

use super::{
    build::{Builder, Width, dispatch},
    dispatch::{Binding, Dispatch, Slot},
    experts::Chosen,
    linear::Linear,
};
use crate::model::{
    block::{MatrixId, VectorId},
    config::Experts,
    lora::Pair,
};

impl Builder<'_> {
    /// What LoRAs have beside the matrix `target`: the number of A, the factor, and the pair.
    fn pairs(&self, target: MatrixId) -> Vec<(MatrixId, f32, &Pair)> {
        let mut found = Vec::new();
        let mut first = self.layout.matrices.len();
        for (lora, factor) in self.loras {
            let pairs = lora.0.pairs.iter().filter(|pair| pair.target == target);
            found.extend(pairs.map(|pair| (first + pair.a, factor * pair.scale, pair)));
            first += lora.0.matrices.len();
        }
        found
    }

    /// Whether a LoRA has something beside `target`.
    pub(super) fn is_adapted(&self, target: MatrixId) -> bool {
        !self.pairs(target).is_empty()
    }

    /// Adds to what `linear` stored or added.
    pub(super) fn adapted(&self, linear: &Linear, width: Width, all: &mut Vec<Dispatch>) {
        for (a, factor, pair) in self.pairs(linear.matrix) {
            let y_start = linear.y_start + pair.row_start;
            let linear = Linear { y_start, ..*linear };
            self.pair((a, factor), linear, Some(width), all);
        }
    }

    /// The same for the last token of a pass alone.
    pub(super) fn adapted_last(&self, linear: &Linear, all: &mut Vec<Dispatch>) {
        for (a, factor, _) in self.pairs(linear.matrix) {
            self.pair((a, factor), *linear, None, all);
        }
    }

    /// `linear` by A and B in the place of its matrix, added to its y; for the last token alone where there is no width.
    fn pair(
        &self,
        (a, factor): (MatrixId, f32),
        linear: Linear,
        width: Option<Width>,
        all: &mut Vec<Dispatch>,
    ) {
        let rank = self.matrix(a).rows;
        let down = Linear::stored(a, (linear.x, linear.norm), (Slot::Rank, rank));
        match width {
            Some(width) => self.plain(down, width, all),
            None => self.matvec(&down, false, all),
        }
        all.push(self.pointwise((Slot::Rank, rank), None, &ACTIVATE_SCALE, factor));
        let up = Linear {
            matrix: a + 1,
            x: Slot::Rank,
            norm: None,
            finish: &FINISH_ADD,
            ..linear
        };
        self.plain(up, width.unwrap_or(Width::Decode), all);
    }

    /// A gated unit that LoRAs add to: gate and up are rows of one matrix that alternate, or two matrices.
    pub(super) fn gated_adapted(
        &self,
        gate_up: &[MatrixId],
        x: (Slot, Option<VectorId>),
        width: Width,
        all: &mut Vec<Dispatch>,
    ) {
        let ffn = self.config.ffn_dim;
        let (both, delta) = ((Slot::GateUp, 2 * ffn), (Slot::Delta, 2 * ffn));
        // Nothing is added where a LoRA has but one of the two.
        all.push(self.pointwise(delta, None, &ACTIVATE_SCALE, 0.0));
        if let [matrix] = gate_up {
            self.plain(Linear::stored(*matrix, x, both), width, all);
        } else {
            all.push(self.pointwise(both, None, &ACTIVATE_SCALE, 0.0));
        }
        for (i, &matrix) in gate_up.iter().enumerate() {
            let linear = |place| Linear {
                y_start: place as u32 * ffn,
                ..Linear::stored(matrix, x, delta)
            };
            if gate_up.len() > 1 {
                self.plain(linear(i), width, all);
            }
            for (a, factor, pair) in self.pairs(matrix) {
                self.pair((a, factor), linear(i + pair.tensor), Some(width), all);
            }
        }
        all.push(self.glu(1, Slot::Gated));
    }

    /// What LoRAs add to the layer of `chosen`.
    pub(super) fn chosen_adapted(
        &self,
        experts: Experts,
        chosen: &Chosen,
        all: &mut Vec<Dispatch>,
    ) {
        for (a, factor, pair) in self.pairs(chosen.matrix) {
            let rank = pair.rank;
            let down = Chosen {
                matrix: a,
                y: (Slot::Rank, rank),
                y_start: 0,
                finish: &FINISH_STORE,
                ..*chosen
            };
            self.chosen(experts, &down, all);
            let ranks = (Slot::Rank, experts.top_k * padded(rank));
            all.push(self.pointwise(ranks, None, &ACTIVATE_SCALE, factor));
            let up = Chosen {
                matrix: a + 1,
                x: (Slot::Rank, 1),
                y_start: pair.tensor as u32 * self.config.ffn_dim,
                finish: &FINISH_ADD,
                ..*chosen
            };
            self.chosen(experts, &up, all);
        }
    }

    /// Gate and up of the chosen experts, which LoRAs add to.
    pub(super) fn experts_gated_adapted(
        &self,
        experts: Experts,
        gate_up: MatrixId,
        all: &mut Vec<Dispatch>,
    ) {
        let ffn = self.config.ffn_dim;
        let both = Chosen {
            matrix: gate_up,
            x: (Slot::H, 0),
            y: (Slot::GateUp, 2 * ffn),
            y_start: 0,
            finish: &FINISH_STORE,
        };
        self.chosen(experts, &both, all);
        let deltas = (Slot::Delta, experts.top_k * padded(2 * ffn));
        all.push(self.pointwise(deltas, None, &ACTIVATE_SCALE, 0.0));
        let y = (Slot::Delta, 2 * ffn);
        self.chosen_adapted(experts, &Chosen { y, ..both }, all);
        all.push(self.glu(experts.top_k, Slot::ExpertsUp));
    }

    /// The gated unit of what lies in two slots, `each` times for a token.
    fn glu(&self, each: u32, y: Slot) -> Dispatch {
        let ffn = self.config.ffn_dim;
        let params = glu::Params {
            cols: ffn,
            each,
            x_stride: padded(2 * ffn),
            y_stride: padded(ffn),
        };
        let shader = self.shader(&glu::GLU, &[self.activated(&SILU, &GELU)], &[]);
        let binds = vec![
            ("x", Binding::Slot(Slot::GateUp)),
            ("delta", Binding::Slot(Slot::Delta)),
            ("y", Binding::Slot(y)),
        ];
        let flow = format!("gate up → {}", y.name());
        let params = bytes_of_params(&params);
        dispatch(shader, "gate and up", &flow, binds, params, ffn)
    }
}
