//! A mixture of experts.

use lantern_kernels::{
    Shader, bytes_of_params, experts, matmul_rows, moe_combine, moe_route, moe_sort, padded,
    parts::{Act, ExpertBias, ExpertScale, Shift, SumInto, Tokens, Xs},
};

use super::{Emitter, linear::epilogue_part};
use crate::{
    graph::{Combine, DType, Experts, Gating, MatrixId, Route, Tensor, TensorSpec},
    model::weights::Piece,
    plan::{
        cost::Cost,
        dispatch::Binding,
        lowering::Width,
        step::{Epilogue, Step},
    },
};

/// A matrix of every expert, times the rows of those that use it.
#[derive(Clone, Copy)]
pub(super) struct ExpertProduct {
    pub matrix: MatrixId,
    pub x: Tensor,
    /// Whether each of a row's experts has a row of its own in x.
    pub per_expert: bool,
    pub y: Tensor,
    /// Where in an expert's row of y the result starts, and how many columns that row has.
    pub y_start: u32,
    pub y_cols: u32,
    pub epilogue: Epilogue,
}

impl Emitter<'_> {
    pub(super) fn route(&mut self, step: &Step, op: &Route) {
        let ids = Emitter::output(step);
        let params = moe_route::Params {
            experts: op.n_experts,
            top_k: op.top_k,
            stride: self.stride(op.logits),
            gating: match op.routing.gating {
                Gating::Softmax => 0,
                Gating::Sigmoid => 1,
            },
            by_logit: u32::from(op.bias.is_none() && op.routing.groups == 1),
            normed: u32::from(op.routing.normed),
            scale: op.routing.scale,
            groups: op.routing.groups,
            groups_used: op.routing.groups_used,
        };
        let shift = if op.bias.is_some() {
            Shift::Bias
        } else {
            Shift::None
        };
        let mut binds = vec![
            ("router", Binding::Tensor(op.logits)),
            ("expert_ids", Binding::Tensor(ids)),
            ("expert_weights", Binding::Tensor(op.weights)),
        ];
        binds.extend(op.bias.map(|bias| ("bias", Binding::Vector(bias))));
        binds.extend(
            op.scale
                .map(|scale| ("expert_scale", Binding::Vector(scale))),
        );
        let scale = if op.scale.is_some() {
            ExpertScale::Each
        } else {
            ExpertScale::None
        };
        let parts = [shift.part(), scale.part()];
        let shader = self.lowering.shader(&moe_route::MOE_ROUTE, &parts, &[]);
        let what = format!("{} of {} experts", op.top_k, op.n_experts);
        let flow = self.flow(op.logits, ids);
        self.dispatch(shader, (&what, flow), binds, bytes_of_params(&params), 1);
    }

    /// The experts' results, weighed, added to the stream or by themselves.
    pub(super) fn combine(&mut self, step: &Step, op: &Combine) {
        let x = Emitter::output(step);
        let into = match step.epilogue {
            Epilogue::Add(_) => SumInto::Add,
            _ => SumInto::Store,
        };
        let cols = self.cols(x);
        let params = moe_combine::Params {
            cols,
            top_k: op.top_k,
            stride: padded(cols),
        };
        let binds = vec![
            ("y", Binding::Tensor(op.results)),
            ("x", Binding::Tensor(x)),
            ("expert_weights", Binding::Tensor(op.weights)),
        ];
        let mut binds = binds;
        let bias = if let Some((vector, ids)) = op.bias {
            binds.push(("expert_bias", Binding::Vector(vector)));
            binds.push(("expert_ids", Binding::Tensor(ids)));
            ExpertBias::Each
        } else {
            ExpertBias::None
        };
        let parts = [into.part(), bias.part()];
        let shader = self.lowering.shader(&moe_combine::MOE_COMBINE, &parts, &[]);
        let what = format!("{} experts", op.top_k);
        let flow = self.flow(op.results, x);
        self.dispatch(shader, (&what, flow), binds, bytes_of_params(&params), cols);
    }

    /// The layer, and what LoRA adds to it.
    pub(super) fn experts_step(&mut self, step: &Step, op: &Experts) {
        let glu = matches!(step.epilogue, Epilogue::Glu(_));
        let product = ExpertProduct {
            matrix: op.matrix,
            x: op.x,
            per_expert: op.per_expert,
            y: Emitter::output(step),
            y_start: 0,
            y_cols: if glu { op.cols / 2 } else { op.cols },
            epilogue: step.epilogue,
        };
        self.expert_product(op, &product);
        self.expert_lora(op, &product);
    }

    /// One token's experts one by one; of many tokens those that use an expert together.
    pub(super) fn expert_product(&mut self, op: &Experts, product: &ExpertProduct) {
        let lowering = self.lowering;
        if let Width::Prefill(rows) = lowering.width
            && lowering.gpu.has_variant(&matmul_rows::MATMUL_ROWS)
            && op.n_experts <= moe_sort::EXPERTS_MAX
        {
            return self.expert_rows(op, product, rows);
        }
        let matrix = lowering.matrix(product.matrix);
        let (rows, cols) = (matrix.rows / op.n_experts, matrix.cols);
        let parts = [&matrix.format.part, epilogue_part(product.epilogue).part()];
        let shader = lowering.shader(&experts::EXPERTS, &parts, &[]);
        let ids = [("expert_ids", Binding::Tensor(op.ids))];
        let units = (experts::units(rows, op.top_k), op.top_k);
        self.expert_pieces(op, product, (&shader, &ids), units, |piece| {
            bytes_of_params(&experts::Params {
                rows,
                cols,
                row_start: piece.row_start,
                piece_rows: piece.rows,
                top_k: op.top_k,
                x_each: u32::from(product.per_expert),
                y_start: product.y_start,
                y_stride: padded(product.y_cols),
            })
        });
    }

    /// One dispatch for each piece of the matrix of all experts, of which `used` are read; `own` are the kernel's bindings
    /// beside weights, x and y.
    fn expert_pieces(
        &mut self,
        op: &Experts,
        product: &ExpertProduct,
        (shader, own): (&Shader, &[(&'static str, Binding)]),
        (units, used): (u32, u32),
        params: impl Fn(Piece) -> Vec<u8>,
    ) {
        let matrix = self.lowering.matrix(product.matrix);
        let (rows, cols) = (matrix.rows / op.n_experts, matrix.cols);
        for (index, &piece) in matrix.pieces.iter().enumerate() {
            let mut binds = vec![
                ("weights", Binding::Weights(product.matrix, index)),
                ("x", Binding::Tensor(product.x)),
                ("y", Binding::Tensor(product.y)),
            ];
            binds.extend(own);
            let what = format!("{} ({rows}×{cols})", matrix.name);
            let flow = self.flow(product.x, product.y);
            let share = |all: u64| all * u64::from(piece.rows) / u64::from(matrix.rows);
            let cost = Cost {
                bytes: share(matrix.bytes()) * u64::from(used) / u64::from(op.n_experts),
                operations: share(2 * u64::from(rows) * u64::from(cols) * u64::from(op.top_k)),
                ..Cost::default()
            };
            let dispatch =
                self.dispatch(shader.clone(), (&what, flow), binds, params(piece), units);
            dispatch.cost = cost;
        }
    }

    /// Tiles of pairs of token and expert, and the pairs, sorted by expert: made once for each choice of experts.
    fn sorted(&mut self, op: &Experts, rows: u32) -> [Tensor; 2] {
        if let Some((ids, sorted)) = self.sorted
            && ids == op.ids
        {
            return sorted;
        }
        let params = moe_sort::Params {
            experts: op.n_experts,
            top_k: op.top_k,
            tiles_max: moe_sort::tiles_max(rows, op.top_k, op.n_experts),
        };
        let whole = |name, words| TensorSpec {
            dtype: DType::U32,
            ..TensorSpec::fixed(name, 1, words)
        };
        let tiles = self.declare(whole("tiles", 3 * params.tiles_max));
        let pairs = self.declare(whole("pairs", rows * op.top_k));
        let binds = vec![
            ("expert_ids", Binding::Tensor(op.ids)),
            ("tiles", Binding::Tensor(tiles)),
            ("sorted_pairs", Binding::Tensor(pairs)),
        ];
        let shader = self.lowering.shader(&moe_sort::MOE_SORT, &[], &[]);
        let flow = self.flow(op.ids, pairs);
        let what = format!("{} experts", op.n_experts);
        self.dispatch(shader, (&what, flow), binds, bytes_of_params(&params), 1);
        self.sorted = Some((op.ids, [tiles, pairs]));
        [tiles, pairs]
    }

    fn expert_rows(&mut self, op: &Experts, product: &ExpertProduct, pass: u32) {
        let [tiles, pairs] = self.sorted(op, pass);
        let lowering = self.lowering;
        let matrix = lowering.matrix(product.matrix);
        let (rows, cols) = (matrix.rows / op.n_experts, matrix.cols);
        let epilogue = epilogue_part(product.epilogue);
        let parts = [
            &matrix.format.part,
            Xs::All.part(),
            epilogue.act().unwrap_or(Act::Silu).part(),
            Tokens::ByExpert.part(),
        ];
        let consts = [
            ("TOKENS", matmul_rows::TOKENS),
            ("TOP_K", op.top_k),
            ("EXPERTS", op.n_experts),
        ];
        let shader = lowering.shader(&matmul_rows::MATMUL_ROWS, &parts, &consts);
        let own = [
            ("tiles", Binding::Tensor(tiles)),
            ("sorted_pairs", Binding::Tensor(pairs)),
        ];
        // As many experts as a whole pass may use.
        let used = op.n_experts.min(pass * op.top_k);
        self.expert_pieces(op, product, (&shader, &own), (rows, used), |piece| {
            bytes_of_params(&matmul_rows::Params {
                rows,
                cols,
                y_start: product.y_start,
                y_stride: padded(product.y_cols),
                token_start: 0,
                epilogue: epilogue.number(),
                row_start: piece.row_start,
                piece_rows: piece.rows,
                x_each: u32::from(product.per_expert),
            })
        });
    }
}
