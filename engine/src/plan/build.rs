//! From a model's layout to plans: asserts shapes, picks variants, and lists dispatches in the order of the paper.

use lantern_kernels::{
    Kernel, Part, Shader, argmax, attention, bytes_of_params, embed, matmul, matmul_rows, matvec,
    norm, padded,
    parts::{
        CACHE_F16, CACHE_F32, FINISH_ADD, FINISH_GATE, FINISH_GLU, FINISH_STORE, INPUT_NORM,
        INPUT_PLAIN, SCALAR_F16, SCALAR_F32, STORE_F16, STORE_F32, X_STORAGE, X_UNIFORM,
    },
    rope, sample,
};

use super::dispatch::{Bind, Dispatch, Plan, Slot};
use crate::{
    Engine, Precision,
    model::{
        block::{Layer, Layout, MatrixId, VectorId},
        config::Config,
    },
};

/// What a pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// One token.
    Decode,
    /// Up to so many.
    Prefill(u32),
}

/// Which logits a head computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Those of the last token.
    Last,
    /// Those of every token of the pass.
    All,
}

/// Builds the plans of one model.
pub struct Builder<'a> {
    /// Picks variants.
    pub engine: &'a Engine,
    /// The model's numbers.
    pub config: &'a Config,
    /// Its weights.
    pub layout: &'a Layout,
    /// Exact or default arithmetic.
    pub precision: Precision,
}

/// A linear layer on its way into a plan: from `x`, normed by `norm` where there is one, to `y`.
struct Linear {
    matrix: MatrixId,
    x: Slot,
    norm: Option<VectorId>,
    y: Slot,
    /// Where in a row of y the result starts.
    y_start: u32,
    y_width: u32,
    finish: &'static Part,
}

impl Builder<'_> {
    /// Embedding and blocks.
    pub fn body(&self, width: Width) -> Plan {
        let mut all = self.embed();
        for (index, layer) in self.layout.layers.iter().enumerate() {
            let first = all.len();
            self.block(layer, width, index as u32, &mut all);
            all[first..]
                .iter_mut()
                .for_each(|d| d.layer = Some(index as u32));
        }
        Plan {
            dispatches: all,
            tokens: width.tokens(),
        }
    }

    /// The last norm and the logits.
    pub fn head(&self, width: Width, rows: Rows) -> Plan {
        let y_width = self.config.vocabulary;
        let linear = Linear {
            matrix: self.layout.output,
            x: Slot::X,
            norm: Some(self.layout.output_norm),
            y: Slot::Logits,
            y_start: 0,
            y_width,
            finish: &FINISH_STORE,
        };
        let mut dispatches = Vec::new();
        match (width, rows) {
            (Width::Prefill(_), Rows::Last) => self.matvec(&linear, false, &mut dispatches),
            _ => self.linear(linear, width, &mut dispatches),
        }
        Plan {
            dispatches,
            tokens: width.tokens(),
        }
    }

    /// Drawing the likeliest token.
    pub fn greedy(&self) -> Plan {
        let params = argmax::Params {
            vocabulary: self.config.vocabulary,
        };
        let mut binds = vec![("logits", Bind::Slot(Slot::Logits))];
        binds.extend(DRAWING);
        let shader = self.shader(&argmax::ARGMAX, &[], &[]);
        let dispatch = dispatch(
            shader,
            "greedy",
            "logits → tokens",
            binds,
            bytes_of_params(&params),
            1,
        );
        Plan {
            dispatches: vec![dispatch],
            tokens: 1,
        }
    }

    /// Drawing by chance.
    pub fn sample(&self, params: &sample::Params) -> Plan {
        let mut binds = vec![
            ("logits", Bind::Slot(Slot::Logits)),
            ("scores", Bind::Slot(Slot::Scores)),
            ("seen", Bind::Slot(Slot::Seen)),
        ];
        binds.extend(DRAWING);
        let shader = self.shader(&sample::SAMPLE, &[], &[]);
        let dispatch = dispatch(
            shader,
            "sample",
            "logits → tokens",
            binds,
            bytes_of_params(params),
            1,
        );
        Plan {
            dispatches: vec![dispatch],
            tokens: 1,
        }
    }

    fn shader(
        &self,
        kernel: &'static Kernel,
        parts: &[&'static Part],
        consts: &[(&'static str, u32)],
    ) -> Shader {
        Shader::new(kernel, self.engine.variant(kernel), parts, consts)
    }

    fn exact(&self) -> bool {
        self.precision == Precision::Exact
    }

    /// Tiles of f16 where the adapter gains by them.
    fn scalar(&self) -> &'static Part {
        let f16 = self.engine.adapter().features.shader_f16 && !self.engine.software();
        if f16 && !self.exact() {
            &SCALAR_F16
        } else {
            &SCALAR_F32
        }
    }

    fn embed(&self) -> Vec<Dispatch> {
        let matrix = &self.layout.matrices[self.layout.embedding];
        let cols = matrix.cols;
        let piece = |(index, piece): (usize, &crate::model::weights::Piece)| {
            let params = embed::Params {
                cols,
                rows: piece.rows,
                row_start: piece.row_start,
                scale: 1.0,
            };
            let binds = vec![
                ("weights", Bind::Weights(self.layout.embedding, index)),
                ("tokens", Bind::Slot(Slot::Tokens)),
                ("x", Bind::Slot(Slot::X)),
                ("state", Bind::Slot(Slot::State)),
            ];
            let shader = self.shader(&embed::EMBED, &[matrix.part()], &[]);
            let what = format!("{} ({}×{cols})", matrix.name, piece.rows);
            dispatch(
                shader,
                &what,
                "tokens → x",
                binds,
                bytes_of_params(&params),
                padded(cols) / 32,
            )
        };
        matrix.pieces.iter().enumerate().map(piece).collect()
    }

    /// x += attention(norm(x)); x += mlp(norm(x))
    fn block(&self, layer: &Layer, width: Width, index: u32, all: &mut Vec<Dispatch>) {
        let config = self.config;
        let from_x = |norm| self.normed(norm, width);
        let (x, norm) = from_x(layer.attention_norm);
        self.norm(layer.attention_norm, width, all);
        for &(matrix, y_start) in &layer.qkv {
            let y_width = config.qkv_width();
            self.linear(
                Linear {
                    matrix,
                    x,
                    norm,
                    y: Slot::Qkv,
                    y_start,
                    y_width,
                    finish: &FINISH_STORE,
                },
                width,
                all,
            );
        }
        all.push(self.rope(index));
        all.push(self.attention(index));
        let to_x = |matrix, x| Linear {
            matrix,
            x,
            norm: None,
            y: Slot::X,
            y_start: 0,
            y_width: config.width,
            finish: &FINISH_ADD,
        };
        self.linear(to_x(layer.attention_output, Slot::Attention), width, all);

        let (x, norm) = from_x(layer.ffn_norm);
        self.norm(layer.ffn_norm, width, all);
        let finishes: &[&'static Part] = if layer.gate_up.len() == 1 {
            &[&FINISH_GLU]
        } else {
            &[&FINISH_STORE, &FINISH_GATE]
        };
        for (&matrix, &finish) in layer.gate_up.iter().zip(finishes) {
            let y_width = config.ffn_width;
            self.linear(
                Linear {
                    matrix,
                    x,
                    norm,
                    y: Slot::Gated,
                    y_start: 0,
                    y_width,
                    finish,
                },
                width,
                all,
            );
        }
        self.linear(to_x(layer.ffn_down, Slot::Gated), width, all);
    }

    /// Where a layer's normed input comes from: decoding norms on the way into the layer, prefilling before it.
    fn normed(&self, norm: VectorId, width: Width) -> (Slot, Option<VectorId>) {
        if width == Width::Decode {
            (Slot::X, Some(norm))
        } else {
            (Slot::H, None)
        }
    }

    fn norm(&self, norm: VectorId, width: Width, all: &mut Vec<Dispatch>) {
        if width == Width::Decode {
            return;
        }
        let params = norm::Params {
            cols: self.config.width,
            eps: self.config.norm_epsilon,
        };
        let binds = vec![
            ("norm_weight", Bind::Vector(norm)),
            ("x", Bind::Slot(Slot::X)),
            ("y", Bind::Slot(Slot::H)),
        ];
        let what = format!("{} ({})", self.layout.vectors[norm].name, self.config.width);
        all.push(dispatch(
            self.shader(&norm::NORM, &[], &[]),
            &what,
            "x → h",
            binds,
            bytes_of_params(&params),
            1,
        ));
    }

    fn linear(&self, linear: Linear, width: Width, all: &mut Vec<Dispatch>) {
        let Width::Prefill(tokens) = width else {
            return self.matvec(&linear, true, all);
        };
        let linear = match linear.norm {
            None => linear,
            Some(norm) => {
                self.norm(norm, width, all);
                Linear {
                    x: Slot::H,
                    norm: None,
                    ..linear
                }
            }
        };
        if self.uniform(&linear, matmul_rows::TOKENS) {
            self.matmul_rows(&linear, tokens, all);
        } else {
            self.matmul(&linear, all);
        }
    }

    /// Whether this adapter reads `tokens` rows of activations best from a uniform buffer, and they fit one.
    fn uniform(&self, linear: &Linear, tokens: u32) -> bool {
        let bytes = u64::from(tokens * padded(self.layout.matrices[linear.matrix].cols)) * 4;
        self.engine.software()
            && bytes <= self.engine.adapter().limits.max_uniform_buffer_binding_size
    }

    /// For the last token of a pass, or, where `single`, for the only one.
    fn matvec(&self, linear: &Linear, single: bool, all: &mut Vec<Dispatch>) {
        let eps = self.config.norm_epsilon;
        let matrix = &self.layout.matrices[linear.matrix];
        let input: &'static Part = if linear.norm.is_some() {
            &INPUT_NORM
        } else {
            &INPUT_PLAIN
        };
        let uniform = single && self.uniform(linear, 1);
        let (x, length): (&'static Part, _) = if uniform {
            (&X_UNIFORM, vec![("X_LENGTH", padded(matrix.cols) / 4)])
        } else {
            (&X_STORAGE, vec![])
        };
        let shader = self.shader(
            &matvec::MATVEC,
            &[matrix.part(), input, x, linear.finish],
            &length,
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
        if uniform {
            let size = u64::from(padded(matrix.cols)) * 4;
            all[first..]
                .iter_mut()
                .for_each(|d| d.x_range = Some((0, size)));
        }
    }

    fn matmul(&self, linear: &Linear, all: &mut Vec<Dispatch>) {
        let y_stride = padded(linear.y_width);
        let parts = [
            self.layout.matrices[linear.matrix].part(),
            linear.finish,
            self.scalar(),
        ];
        let shader = self.shader(&matmul::MATMUL, &parts, &[]);
        self.pieces(linear, &shader, all, |rows, cols, y_start| {
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
        let matrix = &self.layout.matrices[linear.matrix];
        let length = matmul_rows::TOKENS * padded(matrix.cols) / 4;
        let parts = [matrix.part(), linear.finish];
        let shader = self.shader(&matmul_rows::MATMUL_ROWS, &parts, &[("X_LENGTH", length)]);
        for token_start in (0..tokens).step_by(matmul_rows::TOKENS as usize) {
            let first = all.len();
            self.pieces(linear, &shader, all, |rows, cols, y_start| {
                bytes_of_params(&matmul_rows::Params {
                    rows,
                    cols,
                    y_start,
                    y_stride,
                    token_start,
                })
            });
            for dispatch in &mut all[first..] {
                dispatch.token_start = token_start;
                dispatch.x_range = Some((
                    u64::from(token_start * padded(matrix.cols)) * 4,
                    u64::from(length) * 16,
                ));
            }
        }
    }

    /// One dispatch for each piece of the matrix.
    fn pieces(
        &self,
        linear: &Linear,
        shader: &Shader,
        all: &mut Vec<Dispatch>,
        params: impl Fn(u32, u32, u32) -> Vec<u8>,
    ) {
        let matrix = &self.layout.matrices[linear.matrix];
        let glu = std::ptr::eq(linear.finish, &raw const FINISH_GLU);
        let results = if glu { matrix.rows / 2 } else { matrix.rows };
        let (name, y_width) = (&matrix.name, linear.y_width);
        let end = linear.y_start + results;
        assert!(
            end <= y_width,
            "{name}: {results} results from {} on do not fit {y_width}",
            linear.y_start
        );
        assert_eq!(
            matrix.cols,
            self.width_of(linear.x),
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
                ("weights", Bind::Weights(linear.matrix, index)),
                ("x", Bind::Slot(linear.x)),
                ("y", Bind::Slot(linear.y)),
                ("state", Bind::Slot(Slot::State)),
            ];
            binds.extend(linear.norm.map(|norm| ("norm_weight", Bind::Vector(norm))));
            let what = format!("{name} ({}×{})", piece.rows, matrix.cols);
            let flow = format!("{} → {}", linear.x.name(), linear.y.name());
            let params = params(piece.rows, matrix.cols, y_start);
            let mut dispatch = dispatch(shader.clone(), &what, &flow, binds, params, piece.rows);
            dispatch.bytes = matrix.bytes() * u64::from(piece.rows) / u64::from(matrix.rows);
            all.push(dispatch);
        }
    }

    /// Width of a row of a slot that linear layers read.
    fn width_of(&self, slot: Slot) -> u32 {
        match slot {
            Slot::X | Slot::H => self.config.width,
            Slot::Attention => self.config.heads * self.config.head_size,
            Slot::Gated => self.config.ffn_width,
            other => panic!("no linear layer reads {other:?}"),
        }
    }

    fn rope(&self, layer: u32) -> Dispatch {
        let config = self.config;
        let params = rope::Params {
            heads: config.heads,
            kv_heads: config.kv_heads,
            pairs: config.rope.dimensions / 2,
            stride: padded(config.qkv_width()),
        };
        let store: &'static Part = if self.exact() { &STORE_F32 } else { &STORE_F16 };
        let binds = vec![
            ("angles", Bind::Slot(Slot::Angles)),
            ("qkv", Bind::Slot(Slot::Qkv)),
            ("keys", Bind::Keys(layer)),
            ("values", Bind::Values(layer)),
            ("state", Bind::Slot(Slot::State)),
        ];
        let shader = self.shader(&rope::ROPE, &[store], &[("HEAD", config.head_size)]);
        let units = config.qkv_width() / 4;
        dispatch(
            shader,
            "into the cache",
            "qkv → qkv",
            binds,
            bytes_of_params(&params),
            units,
        )
    }

    fn attention(&self, layer: u32) -> Dispatch {
        let config = self.config;
        let params = attention::Params {
            group: config.heads / config.kv_heads,
            kv_heads: config.kv_heads,
            q_stride: padded(config.qkv_width()),
            y_stride: padded(config.heads * config.head_size),
            scale: 1.0 / (config.head_size as f32).sqrt(),
        };
        let cache: &'static Part = if self.exact() { &CACHE_F32 } else { &CACHE_F16 };
        let binds = vec![
            ("qkv", Bind::Slot(Slot::Qkv)),
            ("keys", Bind::Keys(layer)),
            ("values", Bind::Values(layer)),
            ("y", Bind::Slot(Slot::Attention)),
            ("state", Bind::Slot(Slot::State)),
        ];
        let shader = self.shader(
            &attention::ATTENTION,
            &[cache],
            &[("HEAD", config.head_size)],
        );
        let what = format!("{} heads of {}", config.heads, config.head_size);
        dispatch(
            shader,
            &what,
            "qkv → att",
            binds,
            bytes_of_params(&params),
            config.heads,
        )
    }
}

impl Width {
    /// Most tokens of a pass.
    pub fn tokens(self) -> u32 {
        match self {
            Width::Decode => 1,
            Width::Prefill(tokens) => tokens,
        }
    }
}

/// What every dispatch that draws a token binds.
const DRAWING: [(&str, Bind); 3] = [
    ("state", Bind::Slot(Slot::State)),
    ("tokens", Bind::Slot(Slot::Tokens)),
    ("drawn", Bind::Slot(Slot::Drawn)),
];

fn dispatch(
    shader: Shader,
    what: &str,
    flow: &str,
    binds: Vec<(&'static str, Bind)>,
    params: Vec<u8>,
    units: u32,
) -> Dispatch {
    Dispatch {
        layer: None,
        shader,
        what: what.to_string(),
        flow: flow.to_string(),
        binds,
        params,
        units,
        token_start: 0,
        x_range: None,
        bytes: 0,
    }
}
