//! LoRA (Hu et al. 2021) beside a linear layer: y += scale B (A x).

use lantern_kernels::padded;

use super::{Emitter, experts::ExpertProduct, linear::Product};
use crate::{
    graph::{Experts, Glu, MatrixId, Op, TensorSpec, Which},
    plan::step::{Epilogue, Step},
};

impl Emitter<'_> {
    /// Adds to what `product` stored or added.
    pub(super) fn lora(&mut self, product: &Product) {
        for (a, factor, (row_start, x_start)) in self.row_pairs(product.matrix) {
            let y_start = product.y_start + row_start;
            let cols = self.lowering.matrix(a).cols;
            let x = product.x.from(product.x_start + x_start);
            let x = self.rows_of_their_own(x, cols);
            let product = Product {
                x: x.tensor,
                x_start: x.start,
                y_start,
                ..*product
            };
            self.pair((a, factor), &product);
        }
    }

    /// The number of A, the factor, and the row and the column at which the changed tensor starts, of each pair beside a
    /// matrix.
    fn row_pairs(&self, target: MatrixId) -> Vec<(MatrixId, f32, (u32, u32))> {
        let matrix = self.lowering.matrix(target);
        let pairs = self.lowering.pairs(target).into_iter();
        pairs
            .map(|(a, factor, pair)| (a, factor, (pair.row_start, matrix.col_start(pair.tensor))))
            .collect()
    }

    /// `product` by A and B in the place of its matrix, added to its y.
    fn pair(&mut self, (a, factor): (MatrixId, f32), product: &Product) {
        let rank = self.lowering.matrix(a).rows;
        let low = self.declare(match product.which {
            Which::All => TensorSpec::per_row("rank", rank),
            Which::Last => TensorSpec::fixed("rank", 1, rank),
        });
        self.product(&Product {
            matrix: a,
            y: low,
            y_start: 0,
            epilogue: Epilogue::Store,
            ..*product
        });
        self.scale(low, factor);
        self.product(&Product {
            matrix: a + 1,
            x: low,
            x_start: 0,
            one_row: product.which == Which::Last,
            norm: None,
            epilogue: Epilogue::Add(product.y),
            ..*product
        });
    }

    /// A gated unit by itself, or with LoRA: what gate and up make, and what is added to them, then their product.
    pub(super) fn glu_step(&mut self, step: &Step, op: &Glu) {
        let makers: Vec<Op> = step.gate_up.iter().map(|made| made.op.clone()).collect();
        match &makers[..] {
            [] => self.plain_glu(step, op),
            [Op::Experts(experts)] => self.experts_glu_with_lora(step, op, experts),
            _ => self.linear_glu_with_lora(step, op),
        }
    }

    fn linear_glu_with_lora(&mut self, step: &Step, op: &Glu) {
        let cols = op.cols;
        let both = self.declare(TensorSpec::per_row("gate_up", 2 * cols));
        let delta = self.declare(TensorSpec::per_row("delta", 2 * cols));
        // Nothing is added where LoRA changes but one of the two.
        self.scale(delta, 0.0);
        let alternating = step.gate_up.len() == 1;
        if !alternating {
            self.scale(both, 0.0);
        }
        for (index, made) in step.gate_up.iter().enumerate() {
            let Op::Linear(linear) = &made.op else {
                unreachable!("gate and up are linear layers");
            };
            let (matrix, _) = linear.weights[0];
            let x = self.rows_of_their_own(linear.x, self.lowering.matrix(matrix).cols);
            let product = Product {
                matrix,
                x: x.tensor,
                x_start: x.start,
                one_row: false,
                norm: made.norm,
                y: if alternating { both } else { delta },
                y_start: index as u32 * cols,
                epilogue: Epilogue::Store,
                which: linear.which,
            };
            self.product(&product);
            for (a, factor, tensor) in self.tensor_pairs(matrix) {
                let y_start = (index as u32 + tensor) * cols;
                let y = delta;
                self.pair(
                    (a, factor),
                    &Product {
                        y,
                        y_start,
                        ..product
                    },
                );
            }
        }
        self.alternating_glu(op, both, Some(delta), Emitter::output(step));
    }

    /// The number of A, the factor, and the number of the changed tensor among the matrix's own.
    fn tensor_pairs(&self, target: MatrixId) -> Vec<(MatrixId, f32, u32)> {
        let pairs = self.lowering.pairs(target).into_iter();
        pairs
            .map(|(a, factor, pair)| (a, factor, pair.tensor as u32))
            .collect()
    }

    fn experts_glu_with_lora(&mut self, step: &Step, op: &Glu, experts: &Experts) {
        let cols = experts.top_k * padded(2 * op.cols);
        let both = self.declare(TensorSpec::per_row("gate_up", cols));
        let delta = self.declare(TensorSpec::per_row("delta", cols));
        let product = ExpertProduct {
            matrix: experts.matrix,
            x: experts.x,
            per_expert: experts.per_expert,
            y: both,
            y_start: 0,
            y_cols: 2 * op.cols,
            epilogue: Epilogue::Store,
        };
        self.expert_product(experts, &product);
        self.scale(delta, 0.0);
        self.expert_lora(
            experts,
            &ExpertProduct {
                y: delta,
                ..product
            },
        );
        self.alternating_glu(op, both, Some(delta), Emitter::output(step));
    }

    /// Adds to what `product` stored; the changed tensors lie side by side in an expert's row of y.
    pub(super) fn expert_lora(&mut self, op: &Experts, product: &ExpertProduct) {
        let pairs = self.lowering.pairs(product.matrix).into_iter();
        let pairs: Vec<_> = pairs
            .map(|(a, factor, pair)| (a, factor, pair.rank, pair.tensor as u32))
            .collect();
        for (a, factor, rank, tensor) in pairs {
            let cols = op.top_k * padded(rank);
            let low = self.declare(TensorSpec::per_row("rank", cols));
            let down = ExpertProduct {
                matrix: a,
                y: low,
                y_start: 0,
                y_cols: rank,
                epilogue: Epilogue::Store,
                ..*product
            };
            self.expert_product(op, &down);
            self.scale(low, factor);
            let up = ExpertProduct {
                matrix: a + 1,
                x: low,
                per_expert: true,
                y_start: tensor * product.y_cols / 2,
                epilogue: Epilogue::Add(product.y),
                ..*product
            };
            self.expert_product(op, &up);
        }
    }
}
