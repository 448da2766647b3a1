//! Linear layers in integers, where a variant of their kernels was asked for by name: first the activations become
//! bytes, then bytes meet bytes. Only at the default precision, and only for weights that are quantised.

use lantern_kernels::{
    Kernel, Part, bytes_of_params, matmul_integer, matvec_integer, padded,
    parts::{INPUT_NORM, INPUT_PLAIN, PACKED_STORAGE, PACKED_UNIFORM},
    quantise::{self, PACKED_WORDS},
};

use super::{
    build::{Builder, dispatch},
    dispatch::{Binding, Dispatch, Slot},
    linear::Linear,
};
use crate::{Gpu, Precision};

/// The kernels that read packed activations.
const KERNELS: [&Kernel; 2] = [
    &matvec_integer::MATVEC_INTEGER,
    &matmul_integer::MATMUL_INTEGER,
];

/// Bytes of `width` packed activations, if any linear layer may read such.
pub(crate) fn packed_bytes(gpu: &Gpu, precision: Precision, width: u32) -> u64 {
    let forced = KERNELS.iter().any(|kernel| gpu.forced(kernel).is_some());
    if precision == Precision::Exact || !forced {
        return 0;
    }
    packed_row(width)
}

/// Bytes of a row of `width` packed activations.
fn packed_row(width: u32) -> u64 {
    u64::from(padded(width) / 32 * PACKED_WORDS) * 4
}

impl Builder<'_> {
    /// Whether `linear` is to be computed by `kernel`, one of these.
    fn integer(&self, kernel: &'static Kernel, linear: &Linear) -> bool {
        let format = self.matrix(linear.matrix).format;
        !self.exact() && format.has_bytes() && self.gpu.forced(kernel).is_some()
    }

    /// The last token's layer in integers; false, and nothing done, where that is not asked for.
    pub(super) fn matvec_integer(&self, linear: &Linear, all: &mut Vec<Dispatch>) -> bool {
        let kernel = &matvec_integer::MATVEC_INTEGER;
        if !self.integer(kernel, linear) {
            return false;
        }
        let packed = self.quantise(linear, true, all);
        let matrix = self.matrix(linear.matrix);
        let size = packed_row(matrix.cols);
        let uniform = self.uniform(size);
        let x: &'static Part = if uniform {
            &PACKED_UNIFORM
        } else {
            &PACKED_STORAGE
        };
        let consts = [("X_LENGTH", padded(matrix.cols) / 32)];
        let shader = self.shader(kernel, &[matrix.part(), x, linear.finish], &consts);
        let first = all.len();
        self.pieces(&packed, &shader, all, |rows, cols, y_start| {
            bytes_of_params(&matvec_integer::Params {
                rows,
                cols,
                y_start,
            })
        });
        let range = uniform.then_some((0, size));
        all[first..].iter_mut().for_each(|d| d.x_range = range);
        true
    }

    /// Every token's layer in integers; false, and nothing done, where that is not asked for.
    pub(super) fn matmul_integer(&self, linear: &Linear, all: &mut Vec<Dispatch>) -> bool {
        let kernel = &matmul_integer::MATMUL_INTEGER;
        if !self.integer(kernel, linear) {
            return false;
        }
        let packed = self.quantise(linear, false, all);
        let part = self.matrix(linear.matrix).part();
        let shader = self.shader(kernel, &[part, linear.finish], &[]);
        self.matmul(&packed, &shader, all);
        true
    }

    /// What `linear` reads as bytes, normed where it asks for it: of the last token, or of all. The layer that reads them.
    fn quantise(&self, linear: &Linear, last: bool, all: &mut Vec<Dispatch>) -> Linear {
        let cols = self.width_of(linear.x);
        let matrix = self.matrix(linear.matrix);
        assert_eq!(matrix.cols, cols, "{}: not {cols} columns", matrix.name);
        let params = quantise::Params {
            cols,
            eps: self.config.stream_epsilon(),
            last: u32::from(last),
        };
        let mut binds = vec![
            ("x", Binding::Slot(linear.x)),
            ("packed", Binding::Slot(Slot::Packed)),
            ("rows", Binding::Slot(Slot::Rows)),
        ];
        binds.extend(
            linear
                .norm
                .map(|norm| ("norm_weight", Binding::Vector(norm))),
        );
        let input: &'static Part = if linear.norm.is_some() {
            &INPUT_NORM
        } else {
            &INPUT_PLAIN
        };
        let shader = self.shader(
            &quantise::QUANTISE,
            &[input],
            &[("X_LENGTH", padded(cols) / 4)],
        );
        let (what, from, to) = (
            format!("{cols} to bytes"),
            linear.x.name(),
            Slot::Packed.name(),
        );
        let flow = format!("{from} → {to}");
        all.push(dispatch(
            shader,
            &what,
            &flow,
            binds,
            bytes_of_params(&params),
            1,
        ));
        Linear {
            x: Slot::Packed,
            norm: None,
            ..*linear
        }
    }
}
