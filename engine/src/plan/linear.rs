//! Linear layers on their way into a plan: which kernel computes them, in how many dispatches, on which pieces of weights.

use lantern_kernels::{
    Part, Shader, bytes_of_params, matmul, matmul_cooperative, matmul_rows, matvec, padded,
    parts::{
        FINISH_STORE, Finish, GELU, INPUT_NORM, INPUT_NORM_UNIFORM, INPUT_PLAIN, SILU, X_SINGLE,
        X_STORAGE, X_UNIFORM, XS_STORAGE, XS_UNIFORM,
    },
};

use super::{
    build::{Builder, Width, dispatch},
    cost::Cost,
    dispatch::{Binding, Dispatch, Slot},
};
use crate::{
    Gpu,
    model::{
        block::{MatrixId, Norm, VectorId},
        config::Config,
    },
};

/// A linear layer on its way into a plan: from `x`, normed by `norm` where there is one, to `y`.
#[derive(Clone, Copy)]
pub(super) struct Linear {
    pub matrix: MatrixId,
    pub x: Slot,
    pub norm: Option<VectorId>,
    pub y: Slot,
    /// Where in a row of y the result starts.
    pub y_start: u32,
    pub y_width: u32,
    pub finish: &'static Part,
}

impl Linear {
    /// `matrix` times x, stored from the start of rows of y.
    pub fn stored(
        matrix: MatrixId,
        (x, norm): (Slot, Option<VectorId>),
        (y, y_width): (Slot, u32),
    ) -> Linear {
        Linear {
            matrix,
            x,
            norm,
            y,
            y_start: 0,
            y_width,
            finish: &FINISH_STORE,
        }
    }
}

/// Bytes of eight tokens' activations.
fn xs_bytes(width: u32) -> u64 {
    u64::from(matmul_rows::TOKENS * padded(width)) * 4
}

/// Bytes that `matmul_rows` binds of each slot whose eight tokens fit a uniform buffer: as many as the widest of these has,
/// for a shader has their number as a constant, and so one serves all. None where uniform buffers do not pay.
pub(crate) fn xs_bound(gpu: &Gpu, config: &Config) -> u64 {
    let max = gpu.max_uniform_bytes();
    let widths = [config.dim, config.heads * config.head_dim, config.ffn_dim];
    let fitting = widths
        .into_iter()
        .map(xs_bytes)
        .filter(|bytes| *bytes <= max);
    fitting.max().unwrap_or(0)
}

impl Builder<'_> {
    /// The layer, and what LoRAs add to it.
    pub(super) fn linear(&self, linear: Linear, width: Width, all: &mut Vec<Dispatch>) {
        self.plain(linear, width, all);
        self.adapted(&linear, width, all);
    }

    pub(super) fn plain(&self, linear: Linear, width: Width, all: &mut Vec<Dispatch>) {
        let Width::Prefill(tokens) = width else {
            return self.matvec(&linear, true, all);
        };
        let linear = match linear.norm {
            None => linear,
            Some(weight) => {
                self.norm(&Norm { weight, bias: None }, all);
                Linear {
                    x: Slot::H,
                    norm: None,
                    ..linear
                }
            }
        };
        if self.matmul_integer(&linear, all) {
            return;
        }
        let gpu = self.gpu;
        let kernel = &matmul_cooperative::MATMUL_COOPERATIVE;
        let part = self.matrix(linear.matrix).part();
        if !self.exact() && gpu.forced(kernel).is_some() {
            self.matmul(
                &linear,
                &self.shader(kernel, &[part, linear.finish], &[]),
                all,
            );
        } else if gpu.has_variant(&matmul_rows::MATMUL_ROWS)
            && gpu.forced(&matmul::MATMUL).is_none()
        {
            self.matmul_rows(&linear, tokens, all);
        } else {
            let parts = [part, linear.finish, self.scalar()];
            self.matmul(&linear, &self.shader(&matmul::MATMUL, &parts, &[]), all);
        }
    }

    /// Whether this adapter reads `bytes` of activations best from a uniform buffer, and they fit one.
    pub(super) fn uniform(&self, bytes: u64) -> bool {
        bytes <= self.gpu.max_uniform_bytes()
    }

    /// For the last token of a pass, or, where `single`, for the only one.
    pub(super) fn matvec(&self, linear: &Linear, single: bool, all: &mut Vec<Dispatch>) {
        if self.matvec_integer(linear, all) {
            return;
        }
        let eps = self.config.stream_epsilon();
        let matrix = self.matrix(linear.matrix);
        let uniform = single && self.uniform(u64::from(padded(matrix.cols)) * 4);
        let input: &'static Part = match (linear.norm, uniform) {
            (None, _) => &INPUT_PLAIN,
            (Some(_), false) => &INPUT_NORM,
            (Some(_), true) => &INPUT_NORM_UNIFORM,
        };
        let x: &'static Part = match (uniform, single) {
            (true, _) => &X_UNIFORM,
            (false, true) => &X_SINGLE,
            (false, false) => &X_STORAGE,
        };
        let shader = self.shader(
            &matvec::MATVEC,
            &[matrix.part(), input, x, linear.finish],
            &[("X_LENGTH", padded(matrix.cols) / 4)],
        );
        let first = all.len();
        self.pieces(linear, &shader, all, |rows, cols, y_start| {
            bytes_of_params(&matvec::Params {
                rows,
                cols,
                y_start,
                eps,
            })
        });
        if single {
            let size = u64::from(padded(matrix.cols)) * 4;
            all[first..]
                .iter_mut()
                .for_each(|d| d.x_range = Some((0, size)));
        }
    }

    /// By `shader`, whose kernel has the parameters of `matmul`.
    pub(super) fn matmul(&self, linear: &Linear, shader: &Shader, all: &mut Vec<Dispatch>) {
        let y_stride = padded(linear.y_width);
        self.pieces(linear, shader, all, |rows, cols, y_start| {
            bytes_of_params(&matmul::Params {
                rows,
                cols,
                y_start,
                y_stride,
            })
        });
    }

    /// One dispatch for every eight tokens.
    fn matmul_rows(&self, linear: &Linear, tokens: u32, all: &mut Vec<Dispatch>) {
        let y_stride = padded(linear.y_width);
        let matrix = self.matrix(linear.matrix);
        let own = xs_bytes(matrix.cols);
        let (xs, size): (&'static Part, u64) = match (self.uniform(own), linear.x) {
            (false, _) => (&XS_STORAGE, own),
            (true, Slot::Rank) => (&XS_UNIFORM, own),
            (true, _) => (&XS_UNIFORM, xs_bound(self.gpu, self.config)),
        };
        let parts = [matrix.part(), xs, self.activated(&SILU, &GELU)];
        let shader = self.shader(
            &matmul_rows::MATMUL_ROWS,
            &parts,
            &[("X_LENGTH", size as u32 / 16)],
        );
        for token_start in (0..tokens).step_by(matmul_rows::TOKENS as usize) {
            let first = all.len();
            self.pieces(linear, &shader, all, |rows, cols, y_start| {
                bytes_of_params(&matmul_rows::Params {
                    rows,
                    cols,
                    y_start,
                    y_stride,
                    token_start,
                    finish: Finish::of(linear.finish) as u32,
                })
            });
            for dispatch in &mut all[first..] {
                dispatch.token_start = token_start;
                dispatch.cost.tokens = Some(matmul_rows::TOKENS);
                let start = u64::from(token_start * padded(matrix.cols)) * 4;
                dispatch.x_range = Some((start, size));
            }
        }
    }

    /// One dispatch for each piece of the matrix.
    pub(super) fn pieces(
        &self,
        linear: &Linear,
        shader: &Shader,
        all: &mut Vec<Dispatch>,
        params: impl Fn(u32, u32, u32) -> Vec<u8>,
    ) {
        let matrix = self.matrix(linear.matrix);
        let glu = Finish::of(linear.finish) == Finish::Glu;
        let results = if glu { matrix.rows / 2 } else { matrix.rows };
        let (name, y_width) = (&matrix.name, linear.y_width);
        let end = linear.y_start + results;
        assert!(
            end <= y_width,
            "{name}: {results} results from {} on do not fit {y_width}",
            linear.y_start
        );
        let cols = match linear.x {
            Slot::Packed | Slot::Rank => matrix.cols, // checked where they are written
            x => self.width_of(x),
        };
        assert_eq!(
            matrix.cols, cols,
            "{name}: its columns are not the width of {:?}",
            linear.x
        );
        for (index, piece) in matrix.pieces.iter().enumerate() {
            let y_start = linear.y_start
                + if glu {
                    piece.row_start / 2
                } else {
                    piece.row_start
                };
            let mut binds = vec![
                ("weights", Binding::Weights(linear.matrix, index)),
                ("x", Binding::Slot(linear.x)),
                ("y", Binding::Slot(linear.y)),
                ("rows", Binding::Slot(Slot::Rows)),
            ];
            binds.extend(
                linear
                    .norm
                    .map(|norm| ("norm_weight", Binding::Vector(norm))),
            );
            let what = format!("{name} ({}×{})", piece.rows, matrix.cols);
            let flow = format!("{} → {}", linear.x.name(), linear.y.name());
            let params = params(piece.rows, matrix.cols, y_start);
            let mut dispatch = dispatch(shader.clone(), &what, &flow, binds, params, piece.rows);
            dispatch.cost = Cost {
                bytes: matrix.bytes() * u64::from(piece.rows) / u64::from(matrix.rows),
                operations: 2 * u64::from(piece.rows) * u64::from(matrix.cols),
                ..Cost::default()
            };
            all.push(dispatch);
        }
    }

    /// Width of a row of a slot that linear layers read.
    pub(super) fn width_of(&self, slot: Slot) -> u32 {
        match slot {
            Slot::X | Slot::H => self.config.dim,
            Slot::Attention => self.config.heads * self.config.head_dim,
            Slot::Gated => self.config.ffn_dim,
            other => panic!("no linear layer reads {other:?}"),
        }
    }
}
