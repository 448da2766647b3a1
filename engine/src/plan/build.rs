//! From a model's layout to plans: asserts shapes, picks variants, and lists dispatches in the order of the paper.

use lantern_kernels::{
    Kernel, Part, Shader, argmax, attention, attention_join, attention_positions, attention_tokens,
    bytes_of_params, embed, norm, padded,
    parts::{
        CACHE_F16, CACHE_F32, END_PART, END_WHOLE, FINISH_ADD, FINISH_GATE, FINISH_GLU,
        FINISH_STORE, PAIRS_F16, PAIRS_F32, SCALAR_F16, SCALAR_F32, STORE_F16, STORE_F32,
    },
    rope, sample,
};

use super::{
    cost::Cost,
    dispatch::{Bind, Dispatch, Plan, Slot},
    linear::Linear,
};
use crate::{
    Engine, Precision, SamplerOptions,
    model::{
        block::{Layer, Layout, VectorId},
        config::Config,
        load::cache_layer_bytes,
    },
};

/// What a pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// One token.
    Decode,
    /// One token, [`LONG`] positions or more into the context.
    DecodeLong,
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
    /// Positions that a session has.
    pub context: u32,
    /// Tokens of the widest pass.
    pub chunk: u32,
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

    /// Every plan that a session runs; `chunk` tokens are the widest pass.
    pub fn plans(&self) -> Vec<Plan> {
        let chunk = Width::Prefill(self.chunk);
        let neutral = SamplerOptions::greedy().params(self.config.vocabulary);
        let mut plans = vec![self.step(Width::Decode), self.step(chunk)];
        plans.extend(self.splits().then(|| self.step(Width::DecodeLong)));
        plans.push(self.head(chunk, Rows::All));
        plans.extend([self.greedy(), self.sample(&neutral)]);
        plans
    }

    /// The shaders of those plans, each as often as it is dispatched.
    pub fn shaders(&self) -> Vec<Shader> {
        let dispatches = self.plans().into_iter().flat_map(|plan| plan.dispatches);
        dispatches.map(|dispatch| dispatch.shader).collect()
    }

    /// All of a pass with the logits of its last token.
    pub fn step(&self, width: Width) -> Plan {
        let mut step = self.body(width);
        step.dispatches
            .extend(self.head(width, Rows::Last).dispatches);
        step
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

    pub(super) fn shader(
        &self,
        kernel: &'static Kernel,
        parts: &[&'static Part],
        consts: &[(&'static str, u32)],
    ) -> Shader {
        let first = Shader::new(kernel, self.engine.variant(kernel), parts, consts);
        let variant = self.engine.variant_for(kernel, &first.shape());
        Shader { variant, ..first }
    }

    pub(super) fn exact(&self) -> bool {
        self.precision == Precision::Exact
    }

    /// Tiles of f16 where the adapter gains by them.
    pub(super) fn scalar(&self) -> &'static Part {
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
        let from_x = |norm| Self::normed(norm, width);
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
        self.attention(index, width, all);
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
    fn normed(norm: VectorId, width: Width) -> (Slot, Option<VectorId>) {
        if width.is_decode() {
            (Slot::X, Some(norm))
        } else {
            (Slot::H, None)
        }
    }

    pub(super) fn norm(&self, norm: VectorId, width: Width, all: &mut Vec<Dispatch>) {
        if width.is_decode() {
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

    fn attention(&self, layer: u32, width: Width, all: &mut Vec<Dispatch>) {
        let config = self.config;
        let group = config.heads / config.kv_heads;
        let heads = attention::heads_together(config.head_size, group);
        let params = attention::Params {
            kv_heads: config.kv_heads,
            q_stride: padded(config.qkv_width()),
            y_stride: padded(config.heads * config.head_size),
            scale: 1.0 / (config.head_size as f32).sqrt(),
        };
        let many = !width.is_decode()
            && config.head_size <= attention_tokens::HEAD_MAX
            && self.context <= attention_tokens::CONTEXT_MAX;
        let special = if many {
            &attention_tokens::ATTENTION_TOKENS
        } else {
            &attention_positions::ATTENTION_POSITIONS
        };
        let (kernel, caches): (_, [&'static Part; 2]) = if self.engine.has_variant(special) {
            (special, [&PAIRS_F32, &PAIRS_F16])
        } else {
            (&attention::ATTENTION, [&CACHE_F32, &CACHE_F16])
        };
        let split = width == Width::DecodeLong && self.splits();
        let mut parts = vec![caches[usize::from(!self.exact())]];
        if !std::ptr::eq(kernel, &raw const attention_tokens::ATTENTION_TOKENS) {
            parts.push(if split { &END_PART } else { &END_WHOLE });
        }
        let y = if split { Slot::Parts } else { Slot::Attention };
        let binds = vec![
            ("qkv", Bind::Slot(Slot::Qkv)),
            ("keys", Bind::Keys(layer)),
            ("values", Bind::Values(layer)),
            ("y", Bind::Slot(y)),
            ("state", Bind::Slot(Slot::State)),
        ];
        let mut consts = vec![
            ("HEAD", config.head_size),
            ("GROUP", group),
            ("HEADS", heads),
        ];
        consts.extend(split.then_some(("PARTS", attention_join::PARTS)));
        let shader = self.shader(kernel, &parts, &consts);
        let what = format!("{} heads of {}", config.heads, config.head_size);
        let cost = Cost {
            position_bytes: cache_layer_bytes(config, self.precision, 1) * 2,
            position_operations: 4 * u64::from(config.heads * config.head_size),
            ..Cost::default()
        };
        let units = config.heads / heads;
        let flow = format!("qkv → {}", y.name());
        all.push(Dispatch {
            cost,
            ..dispatch(shader, &what, &flow, binds, bytes_of_params(&params), units)
        });
        if split {
            all.push(self.attention_join());
        }
    }

    /// Whether attention far into the context is split while decoding.
    pub(crate) fn splits(&self) -> bool {
        let join = &attention_join::ATTENTION_JOIN;
        self.context >= LONG && self.engine.able(join).next().is_some()
    }

    fn attention_join(&self) -> Dispatch {
        let consts = [
            ("HEAD", self.config.head_size),
            ("PARTS", attention_join::PARTS),
        ];
        let shader = self.shader(&attention_join::ATTENTION_JOIN, &[], &consts);
        let binds = vec![
            ("partial", Bind::Slot(Slot::Parts)),
            ("y", Bind::Slot(Slot::Attention)),
        ];
        let what = format!("{} parts", attention_join::PARTS);
        dispatch(
            shader,
            &what,
            "parts → att",
            binds,
            vec![],
            self.config.heads,
        )
    }
}

impl Width {
    /// It is for decoding, and not for a prompt that happens to have one token.
    pub fn is_decode(self) -> bool {
        matches!(self, Width::Decode | Width::DecodeLong)
    }

    /// Most tokens of a pass.
    pub fn tokens(self) -> u32 {
        match self {
            Width::Decode | Width::DecodeLong => 1,
            Width::Prefill(tokens) => tokens,
        }
    }
}

/// Positions from which on a token's attention is worth splitting.
pub const LONG: u32 = 512;

/// What every dispatch that draws a token binds.
const DRAWING: [(&str, Bind); 3] = [
    ("state", Bind::Slot(Slot::State)),
    ("tokens", Bind::Slot(Slot::Tokens)),
    ("drawn", Bind::Slot(Slot::Drawn)),
];

pub(super) fn dispatch(
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
        cost: Cost::default(),
    }
}
