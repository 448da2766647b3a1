//! Linear layers in integers, where a variant of their kernels was asked for by name: first the activations become
//! bytes, then bytes meet bytes. Only at mixed precision, and only for weights that are quantised.

use lantern_kernels::{
    Kernel, bytes_of_params, matmul_integer, matvec_integer, padded,
    parts::{Input, PackedX},
    quantise::{self, PACKED_WORDS},
};

use super::{
    Emitter,
    linear::{Product, epilogue_part},
};
use crate::{
    graph::{DType, Tensor, TensorSpec},
    plan::dispatch::Binding,
};

/// 32-bit words of a row of `cols` packed activations.
fn packed_words(cols: u32) -> u32 {
    padded(cols) / 32 * PACKED_WORDS
}

impl Emitter<'_> {
    /// Whether `product` is to be computed by `kernel`, one of these.
    fn integer(&self, kernel: &'static Kernel, product: &Product) -> bool {
        let lowering = self.lowering;
        let format = lowering.matrix(product.matrix).format;
        !lowering.exact() && format.has_bytes() && lowering.gpu.forced(kernel).is_some()
    }

    /// The last row's layer in integers; false, and nothing done, where that is not asked for.
    pub(super) fn matvec_integer(&mut self, product: &Product) -> bool {
        let kernel = &matvec_integer::MATVEC_INTEGER;
        if !self.integer(kernel, product) {
            return false;
        }
        let packed = self.quantise(product, true);
        let matrix = self.lowering.matrix(product.matrix);
        let size = u64::from(packed_words(matrix.cols)) * 4;
        let uniform = self.lowering.uniform(size);
        let x = if uniform {
            PackedX::Uniform
        } else {
            PackedX::Storage
        };
        let consts = [("X_LENGTH", padded(matrix.cols) / 32)];
        let epilogue = epilogue_part(product.epilogue).part();
        let parts = [&matrix.format.part, x.part(), epilogue];
        let shader = self.lowering.shader(kernel, &parts, &consts);
        let first = self.dispatches.len();
        self.pieces(&packed, &shader, |rows, cols, y_start| {
            bytes_of_params(&matvec_integer::Params {
                rows,
                cols,
                y_start,
            })
        });
        self.set_x_range(first, uniform.then_some((0, size)));
        self.set_last_row(first);
        true
    }

    /// Every row's layer in integers; false, and nothing done, where that is not asked for.
    pub(super) fn matmul_integer(&mut self, product: &Product) -> bool {
        let kernel = &matmul_integer::MATMUL_INTEGER;
        if !self.integer(kernel, product) {
            return false;
        }
        let packed = self.quantise(product, false);
        let part = &self.lowering.matrix(product.matrix).format.part;
        let parts = [part, epilogue_part(product.epilogue).part()];
        let shader = self.lowering.shader(kernel, &parts, &[]);
        self.matmul(&packed, &shader);
        true
    }

    /// Quantises the input of `product`, normed where asked for: the last row, or all. Returns the product of the bytes.
    fn quantise(&mut self, product: &Product, last: bool) -> Product {
        let cols = self.lowering.matrix(product.matrix).cols;
        let params = quantise::Params {
            cols,
            eps: product.norm.map_or(0.0, |norm| norm.eps),
            last: u32::from(last),
        };
        let packed = self.packed(cols, last);
        let mut binds = vec![
            ("x", Binding::Tensor(product.x)),
            ("packed", Binding::Tensor(packed)),
        ];
        let norm = product.norm.map(|norm| Binding::Vector(norm.weight));
        binds.extend(norm.map(|norm| ("norm_weight", norm)));
        let input = match product.norm {
            Some(_) => Input::Norm,
            None => Input::Plain,
        };
        let consts = [("X_LENGTH", padded(cols) / 4)];
        let shader = self
            .lowering
            .shader(&quantise::QUANTISE, &[input.part()], &consts);
        let what = format!("{cols} to bytes");
        let flow = self.flow(product.x, packed);
        let params = bytes_of_params(&params);
        let start = u64::from(product.x_start) * 4;
        let dispatch = self.dispatch(shader, (&what, flow), binds, params, 1);
        dispatch.last_row = last;
        dispatch.x_range = (start > 0).then_some((start, u64::from(padded(cols)) * 4));
        Product {
            x: packed,
            x_start: 0,
            norm: None,
            ..*product
        }
    }

    fn packed(&mut self, cols: u32, last: bool) -> Tensor {
        let words = packed_words(cols);
        let spec = if last {
            TensorSpec::fixed("bytes", 1, words)
        } else {
            TensorSpec::per_row("bytes", words)
        };
        self.declare(TensorSpec {
            dtype: DType::U32,
            ..spec
        })
    }
}
