//! Linear layers: which kernel computes them, in how many dispatches, on which pieces of weights.

use lantern_kernels::{
    Shader, bytes_of_params, copy, head_linear, matmul, matmul_cooperative, matmul_rows, matvec,
    padded,
    parts::{Act, Epilogue as EpiloguePart, Input, Orientation, Tokens, X, Xs},
};

use super::Emitter;
use crate::{
    graph::{Activation, Columns, HeadLinear, Linear, MatrixId, Tensor, TensorSpec, Which},
    model::weights::ALIGNMENT,
    plan::{
        cost::Cost,
        dispatch::Binding,
        lowering::{Width, small_rows},
        step::{Epilogue, FusedNorm, Step},
    },
};

/// One matrix's share of a linear layer.
#[derive(Clone, Copy)]
pub(super) struct Product {
    pub matrix: MatrixId,
    pub x: Tensor,
    /// Column of x that the matrix begins at; only where x is one row.
    pub x_start: u32,
    /// Whether x has one row in a pass of any number.
    pub one_row: bool,
    pub norm: Option<FusedNorm>,
    pub y: Tensor,
    /// Where in a row of y the result starts.
    pub y_start: u32,
    pub epilogue: Epilogue,
    pub which: Which,
}

/// Bytes of eight rows of activations.
pub(in crate::plan) fn xs_bytes(cols: u32) -> u64 {
    u64::from(matmul_rows::TOKENS * padded(cols)) * 4
}

/// The kernels' activation of a gate.
pub(super) fn act(activation: Activation) -> Act {
    match activation {
        Activation::Gelu => Act::Gelu,
        Activation::Silu => Act::Silu,
        other => unreachable!("no gated unit has {other:?}"),
    }
}

/// The kernels' epilogue.
pub(super) fn epilogue_part(epilogue: Epilogue) -> EpiloguePart {
    match epilogue {
        Epilogue::Store => EpiloguePart::Store,
        Epilogue::Add(_) => EpiloguePart::Add,
        Epilogue::Glu(activation) => EpiloguePart::Glu(act(activation)),
        Epilogue::Gate(activation, _) => EpiloguePart::Gate(act(activation)),
    }
}

impl Emitter<'_> {
    /// The layer, what LoRA adds to it, its bias and activation.
    pub(super) fn linear_step(&mut self, step: &Step, linear: &Linear) {
        let y = Emitter::output(step);
        let (first, _) = linear.weights[0];
        let x = self.rows_of_their_own(linear.x, self.lowering.matrix(first).cols);
        for &(matrix, y_start) in &linear.weights {
            let product = Product {
                matrix,
                x: x.tensor,
                x_start: x.start,
                one_row: false,
                norm: step.norm,
                y,
                y_start,
                epilogue: step.epilogue,
                which: linear.which,
            };
            self.product(&product);
            self.lora(&product);
        }
        if linear.bias.is_some() || step.activation.is_some() {
            self.pointwise(y, linear.bias, step.activation);
        }
    }

    /// So many columns where linear layers find a row: where a binding can begin, and in passes of several rows at the beginning of
    /// a tensor and right behind the row before.
    pub(super) fn rows_of_their_own(&mut self, x: Columns, cols: u32) -> Columns {
        let bound = (u64::from(x.start) * 4).is_multiple_of(ALIGNMENT);
        let rows = x.start == 0 && self.stride(x.tensor) == padded(cols);
        if rows || bound && self.width().is_decode() {
            return x;
        }
        let word = self.word(x.tensor);
        let own = self.declare(TensorSpec::per_row(word, cols));
        let params = copy::Params {
            cols,
            x_stride: self.stride(x.tensor),
            x_start: x.start,
            y_stride: self.stride(own),
        };
        let binds = vec![
            ("x", Binding::Tensor(x.tensor)),
            ("y", Binding::Tensor(own)),
        ];
        let shader = self.lowering.shader(&copy::COPY, &[], &[]);
        let what = format!("columns ({cols})");
        let flow = self.flow(x.tensor, own);
        self.dispatch(shader, (&what, flow), binds, bytes_of_params(&params), cols);
        own.from(0)
    }

    /// By the kernel that suits the rows.
    pub(super) fn product(&mut self, product: &Product) {
        match self.width() {
            Width::Prefill(rows) if product.which == Which::All => self.matmul_step(product, rows),
            width => self.matvec(product, product.one_row || width.is_decode()),
        }
    }

    fn matmul_step(&mut self, product: &Product, rows: u32) {
        assert!(
            product.norm.is_none(),
            "only kernels of one row norm on the way"
        );
        if self.matmul_integer(product) {
            return;
        }
        let lowering = self.lowering;
        let gpu = lowering.gpu;
        let part = &lowering.matrix(product.matrix).format.part;
        let epilogue = epilogue_part(product.epilogue);
        let forced = |kernel| gpu.forced(kernel).is_some();
        let matrices = &matmul_cooperative::MATMUL_COOPERATIVE;
        // An adapter on the CPU has matrices to try kernels by: its own way is several times as fast.
        let by_rows = (gpu.software() || rows <= small_rows(gpu))
            && gpu.has_variant(&matmul_rows::MATMUL_ROWS);
        let by_matrices = gpu.has_variant(matrices) && !by_rows && !gpu.software();
        let cooperative = forced(matrices) || by_matrices;
        if !lowering.exact() && cooperative && !forced(&matmul::MATMUL) {
            let shader = lowering.shader(matrices, &[part, epilogue.part()], &[]);
            self.matmul(product, &shader);
        } else if by_rows && !forced(&matmul::MATMUL) {
            self.matmul_rows(product, rows);
        } else {
            let parts = [part, epilogue.part(), lowering.scalar().part()];
            let shader = lowering.shader(&matmul::MATMUL, &parts, &[]);
            self.matmul(product, &shader);
        }
    }

    /// For the last row of a pass, or, where `single`, for the only one.
    fn matvec(&mut self, product: &Product, single: bool) {
        if self.matvec_integer(product) {
            return;
        }
        let lowering = self.lowering;
        let matrix = lowering.matrix(product.matrix);
        let size = u64::from(padded(matrix.cols)) * 4;
        let uniform = single && lowering.uniform(size);
        let input = match (product.norm, uniform) {
            (None, _) => Input::Plain,
            (Some(_), false) => Input::Norm,
            (Some(_), true) => Input::NormUniform,
        };
        let x = match (uniform, single) {
            (true, _) => X::Uniform,
            (false, true) => X::Single,
            (false, false) => X::Storage,
        };
        let parts = [
            &matrix.format.part,
            input.part(),
            x.part(),
            epilogue_part(product.epilogue).part(),
        ];
        let consts = [("X_LENGTH", padded(matrix.cols) / 4)];
        let shader = lowering.shader(&matvec::MATVEC, &parts, &consts);
        let eps = product.norm.map_or(0.0, |norm| norm.eps);
        let first = self.dispatches.len();
        self.pieces(product, &shader, |rows, cols, y_start| {
            bytes_of_params(&matvec::Params {
                rows,
                cols,
                y_start,
                eps,
            })
        });
        let range = single.then_some((u64::from(product.x_start) * 4, size));
        self.set_x_range(first, range);
        self.set_last_row(first);
    }

    /// By `shader`, whose kernel has the parameters of `matmul`.
    pub(super) fn matmul(&mut self, product: &Product, shader: &Shader) {
        let y_stride = self.stride(product.y);
        self.pieces(product, shader, |rows, cols, y_start| {
            bytes_of_params(&matmul::Params {
                rows,
                cols,
                y_start,
                y_stride,
            })
        });
    }

    /// One dispatch for every eight rows, or for four where there are no more.
    fn matmul_rows(&mut self, product: &Product, rows: u32) {
        let lowering = self.lowering;
        let y_stride = self.stride(product.y);
        let matrix = lowering.matrix(product.matrix);
        let own = xs_bytes(matrix.cols);
        let (xs, size) = if lowering.uniform(own) {
            (Xs::Uniform, own.max(self.xs_bound))
        } else {
            (Xs::Storage, own)
        };
        let epilogue = epilogue_part(product.epilogue);
        let gates = epilogue.act().unwrap_or(Act::Silu);
        let tokens_part = Tokens::InOrder.part();
        let parts = [&matrix.format.part, xs.part(), gates.part(), tokens_part];
        let half = matmul_rows::TOKENS / 2;
        let tokens = if rows <= half && lowering.gpu.software() {
            half
        } else {
            matmul_rows::TOKENS
        };
        let consts = [("X_LENGTH", size as u32 / 16), ("TOKENS", tokens)];
        let shader = lowering.shader(&matmul_rows::MATMUL_ROWS, &parts, &consts);
        for token_start in (0..rows).step_by(tokens as usize) {
            let first = self.dispatches.len();
            self.pieces(product, &shader, |rows, cols, y_start| {
                bytes_of_params(&matmul_rows::Params {
                    rows,
                    cols,
                    y_start,
                    y_stride,
                    token_start,
                    epilogue: epilogue.number(),
                    piece_rows: rows,
                    ..matmul_rows::Params::default()
                })
            });
            let start = u64::from(token_start * padded(matrix.cols)) * 4;
            self.set_x_range(first, Some((start, size)));
            for dispatch in &mut self.dispatches[first..] {
                dispatch.token_start = token_start;
                dispatch.cost.tokens = Some(tokens);
            }
        }
    }

    /// Each head by its own matrix.
    pub(super) fn head_linear(&mut self, step: &Step, op: &HeadLinear) {
        let y = Emitter::output(step);
        let matrix = self.lowering.matrix(op.matrix);
        let params = head_linear::Params {
            rows: op.rows,
            cols: op.cols,
            head_rows: op.head_rows,
            first_row: op.first_row,
            kept: op.kept,
            x_start: op.x.start,
            x_head: op.x_head,
            x_stride: self.stride(op.x.tensor),
            y_head: op.y_head(),
            y_stride: self.stride(y),
        };
        let orientation = if op.transposed {
            Orientation::Transposed
        } else {
            Orientation::Plain
        };
        let binds = vec![
            ("weights", Binding::Weights(op.matrix, 0)),
            ("x", Binding::Tensor(op.x.tensor)),
            ("y", Binding::Tensor(y)),
        ];
        let parts = [&matrix.format.part, orientation.part()];
        let shader = self.lowering.shader(&head_linear::HEAD_LINEAR, &parts, &[]);
        let (rows, cols, heads) = (op.rows, op.cols, op.heads);
        let what = format!("{} ({heads} heads of {rows}×{cols})", matrix.name);
        let flow = self.flow(op.x.tensor, y);
        let units = head_linear::units(op.results(), heads);
        let read = u64::from(heads * rows);
        let cost = Cost {
            bytes: matrix.bytes() * read / u64::from(matrix.rows),
            operations: 2 * read * u64::from(cols),
            ..Cost::default()
        };
        let params = bytes_of_params(&params);
        self.dispatch(shader, (&what, flow), binds, params, units)
            .cost = cost;
    }

    /// The bytes of x that the dispatches from `first` on bind.
    pub(super) fn set_x_range(&mut self, first: usize, range: Option<(u64, u64)>) {
        for dispatch in &mut self.dispatches[first..] {
            dispatch.x_range = range;
        }
    }

    /// Says that the dispatches from `first` on compute the last row alone.
    pub(super) fn set_last_row(&mut self, first: usize) {
        for dispatch in &mut self.dispatches[first..] {
            dispatch.last_row = true;
        }
    }

    /// One dispatch for each piece of the matrix.
    pub(super) fn pieces(
        &mut self,
        product: &Product,
        shader: &Shader,
        params: impl Fn(u32, u32, u32) -> Vec<u8>,
    ) {
        let lowering = self.lowering;
        let matrix = lowering.matrix(product.matrix);
        let glu = matches!(product.epilogue, Epilogue::Glu(_));
        let per_result = if glu { 2 } else { 1 };
        let (name, y_cols) = (&matrix.name, self.cols(product.y));
        let end = product.y_start + matrix.rows / per_result;
        assert!(end <= y_cols, "{name}: {end} results do not fit {y_cols}");
        for (index, piece) in matrix.pieces.iter().enumerate() {
            let mut binds = vec![
                ("weights", Binding::Weights(product.matrix, index)),
                ("x", Binding::Tensor(product.x)),
                ("y", Binding::Tensor(product.y)),
            ];
            let norm = product.norm.map(|norm| Binding::Vector(norm.weight));
            binds.extend(norm.map(|norm| ("norm_weight", norm)));
            let what = format!("{name} ({}×{})", piece.rows, matrix.cols);
            let flow = self.flow(product.x, product.y);
            let y_start = product.y_start + piece.row_start / per_result;
            let params = params(piece.rows, matrix.cols, y_start);
            let cost = Cost {
                bytes: matrix.bytes() * u64::from(piece.rows) / u64::from(matrix.rows),
                operations: 2 * u64::from(piece.rows) * u64::from(matrix.cols),
                ..Cost::default()
            };
            let dispatch = self.dispatch(shader.clone(), (&what, flow), binds, params, piece.rows);
            dispatch.cost = cost;
        }
    }
}
