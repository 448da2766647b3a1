//! A mixture of experts on its way into a plan.

use lantern_kernels::{
    Part, bytes_of_params, experts, moe_combine, moe_route, padded,
    parts::{FINISH_GEGLU, FINISH_GLU, FINISH_STORE},
};

use super::{
    build::{Builder, Width, dispatch},
    cost::Cost,
    dispatch::{Binding, Dispatch, Slot},
    linear::Linear,
};
use crate::model::{block::MatrixId, config::Experts};

/// A layer of the chosen experts on its way into a plan.
pub(super) struct Chosen {
    /// The rows of all experts.
    pub matrix: MatrixId,
    /// What it reads, and 1 where each of a token's experts has a row of its own there, 0 where a token has one.
    pub x: (Slot, u32),
    /// Where its results go, and the width of a row there.
    pub y: (Slot, u32),
    /// Where in a row of y the result starts.
    pub y_start: u32,
    pub finish: &'static Part,
}

impl Builder<'_> {
    /// x += what the chosen experts make of h.
    pub(super) fn experts(
        &self,
        experts: Experts,
        [router, gate_up, down]: [MatrixId; 3],
        width: Width,
        all: &mut Vec<Dispatch>,
    ) {
        let (cols, ffn) = (self.config.dim, self.config.ffn_dim);
        let router = Linear::stored(router, (Slot::H, None), (Slot::Router, experts.n_experts));
        self.linear(router, width, all);
        all.push(self.route(experts));
        if self.is_adapted(gate_up) {
            self.experts_gated_adapted(experts, gate_up, all);
        } else {
            let chosen = Chosen {
                matrix: gate_up,
                x: (Slot::H, 0),
                y: (Slot::ExpertsUp, ffn),
                y_start: 0,
                finish: self.activated(&FINISH_GLU, &FINISH_GEGLU),
            };
            self.chosen(experts, &chosen, all);
        }
        let down = Chosen {
            matrix: down,
            x: (Slot::ExpertsUp, 1),
            y: (Slot::ExpertsOut, cols),
            y_start: 0,
            finish: &FINISH_STORE,
        };
        self.chosen(experts, &down, all);
        self.chosen_adapted(experts, &down, all);
        all.push(self.combine(experts));
    }

    /// Which experts see each token.
    fn route(&self, experts: Experts) -> Dispatch {
        let stride = padded(experts.n_experts);
        let params = moe_route::Params {
            experts: experts.n_experts,
            top_k: experts.top_k,
            stride,
        };
        let binds = vec![
            ("router", Binding::Slot(Slot::Router)),
            ("expert_ids", Binding::Slot(Slot::Chosen)),
            ("expert_weights", Binding::Slot(Slot::Shares)),
            ("rows", Binding::Slot(Slot::Rows)),
        ];
        let shader = self.shader(&moe_route::MOE_ROUTE, &[], &[]);
        let what = format!("{} of {} experts", experts.top_k, experts.n_experts);
        dispatch(
            shader,
            &what,
            "router → chosen",
            binds,
            bytes_of_params(&params),
            1,
        )
    }

    /// x += what they found.
    fn combine(&self, experts: Experts) -> Dispatch {
        let cols = self.config.dim;
        let what = format!("{} of {} experts", experts.top_k, experts.n_experts);
        let params = moe_combine::Params {
            cols,
            top_k: experts.top_k,
            stride: padded(cols),
        };
        let binds = vec![
            ("y", Binding::Slot(Slot::ExpertsOut)),
            ("x", Binding::Slot(Slot::X)),
            ("expert_weights", Binding::Slot(Slot::Shares)),
        ];
        let shader = self.shader(&moe_combine::MOE_COMBINE, &[], &[]);
        dispatch(
            shader,
            &what,
            "experts → x",
            binds,
            bytes_of_params(&params),
            cols,
        )
    }

    /// A layer of the chosen experts.
    pub(super) fn chosen(
        &self,
        Experts { n_experts, top_k }: Experts,
        chosen: &Chosen,
        all: &mut Vec<Dispatch>,
    ) {
        let &Chosen {
            matrix: id,
            x: (x, x_each),
            y: (y, y_width),
            y_start,
            finish,
        } = chosen;
        let matrix = self.matrix(id);
        let (rows, cols) = (matrix.rows / n_experts, matrix.cols);
        for (index, piece) in matrix.pieces.iter().enumerate() {
            let params = experts::Params {
                rows,
                cols,
                row_start: piece.row_start,
                piece_rows: piece.rows,
                top_k,
                x_each,
                y_start,
                y_stride: padded(y_width),
            };
            let binds = vec![
                ("weights", Binding::Weights(id, index)),
                ("x", Binding::Slot(x)),
                ("y", Binding::Slot(y)),
                ("expert_ids", Binding::Slot(Slot::Chosen)),
                ("rows", Binding::Slot(Slot::Rows)),
            ];
            let shader = self.shader(&experts::EXPERTS, &[matrix.part(), finish], &[]);
            let what = format!("{} ({rows}×{cols})", matrix.name);
            let flow = format!("{} → {}", x.name(), y.name());
            let (params, units) = (bytes_of_params(&params), experts::units(rows, top_k));
            let mut dispatch = dispatch(shader, &what, &flow, binds, params, units);
            let share = |all: u64| all * u64::from(piece.rows) / u64::from(matrix.rows);
            dispatch.cost = Cost {
                bytes: share(matrix.bytes()) * u64::from(top_k) / u64::from(n_experts),
                operations: share(2 * u64::from(rows) * u64::from(cols) * u64::from(top_k)),
                ..Cost::default()
            };
            all.push(dispatch);
        }
    }
}
