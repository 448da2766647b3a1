//! A mixture of experts on its way into a plan.

use lantern_kernels::{
    Part, bytes_of_params, combine, experts, padded,
    parts::{FINISH_GEGLU, FINISH_GLU, FINISH_STORE},
    route,
};

use super::{
    build::{Builder, Width, dispatch},
    cost::Cost,
    dispatch::{Bind, Dispatch, Slot},
    linear::Linear,
};
use crate::model::{block::MatrixId, config::Experts};

impl Builder<'_> {
    /// x += what the chosen experts make of h.
    pub(super) fn experts(
        &self,
        experts: Experts,
        [router, gate_up, down]: [MatrixId; 3],
        width: Width,
        all: &mut Vec<Dispatch>,
    ) {
        let (cols, ffn) = (self.config.width, self.config.ffn_width);
        let router = Linear::stored(router, (Slot::H, None), (Slot::Router, experts.count));
        self.linear(router, width, all);
        all.push(self.route(experts));
        let glu = self.activated(&FINISH_GLU, &FINISH_GEGLU);
        self.chosen(
            experts,
            gate_up,
            (Slot::H, 0),
            (Slot::ExpertsUp, ffn),
            glu,
            all,
        );
        self.chosen(
            experts,
            down,
            (Slot::ExpertsUp, 1),
            (Slot::ExpertsOut, cols),
            &FINISH_STORE,
            all,
        );
        all.push(self.combine(experts));
    }

    /// Which experts see each token.
    fn route(&self, experts: Experts) -> Dispatch {
        let stride = padded(experts.count);
        let params = route::Params {
            experts: experts.count,
            used: experts.used,
            stride,
        };
        let binds = vec![
            ("router", Bind::Slot(Slot::Router)),
            ("chosen", Bind::Slot(Slot::Chosen)),
            ("shares", Bind::Slot(Slot::Shares)),
            ("state", Bind::Slot(Slot::State)),
        ];
        let shader = self.shader(&route::ROUTE, &[], &[]);
        let what = format!("{} of {} experts", experts.used, experts.count);
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
        let cols = self.config.width;
        let what = format!("{} of {} experts", experts.used, experts.count);
        let params = combine::Params {
            cols,
            used: experts.used,
            stride: padded(cols),
        };
        let binds = vec![
            ("y", Bind::Slot(Slot::ExpertsOut)),
            ("x", Bind::Slot(Slot::X)),
            ("shares", Bind::Slot(Slot::Shares)),
        ];
        let shader = self.shader(&combine::COMBINE, &[], &[]);
        dispatch(
            shader,
            &what,
            "experts → x",
            binds,
            bytes_of_params(&params),
            cols,
        )
    }

    /// The layers of the chosen experts. `x_each`: each of a token's experts has an x of its own.
    fn chosen(
        &self,
        Experts { count, used }: Experts,
        id: MatrixId,
        (x, x_each): (Slot, u32),
        (y, y_width): (Slot, u32),
        finish: &'static Part,
        all: &mut Vec<Dispatch>,
    ) {
        let matrix = &self.layout.matrices[id];
        let (rows, cols) = (matrix.rows / count, matrix.cols);
        for (index, piece) in matrix.pieces.iter().enumerate() {
            let params = experts::Params {
                rows,
                cols,
                row_start: piece.row_start,
                piece_rows: piece.rows,
                used,
                x_each,
                y_stride: padded(y_width),
            };
            let binds = vec![
                ("weights", Bind::Weights(id, index)),
                ("x", Bind::Slot(x)),
                ("y", Bind::Slot(y)),
                ("chosen", Bind::Slot(Slot::Chosen)),
                ("state", Bind::Slot(Slot::State)),
            ];
            let shader = self.shader(&experts::EXPERTS, &[matrix.part(), finish], &[]);
            let what = format!("{} ({rows}×{cols})", matrix.name);
            let flow = format!("{} → {}", x.name(), y.name());
            let (params, units) = (bytes_of_params(&params), experts::units(rows, used));
            let mut dispatch = dispatch(shader, &what, &flow, binds, params, units);
            let share = |all: u64| all * u64::from(piece.rows) / u64::from(matrix.rows);
            dispatch.cost = Cost {
                bytes: share(matrix.bytes()) * u64::from(used) / u64::from(count),
                operations: share(2 * u64::from(rows) * u64::from(cols) * u64::from(used)),
                ..Cost::default()
            };
            all.push(dispatch);
        }
    }
}
