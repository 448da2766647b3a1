//! From a model's layout to plans: asserts shapes, picks variants, and lists dispatches in the order of the paper.

use lantern_kernels::{
    Kernel, Part, Shader, argmax, bytes_of_params, embed, padded,
    parts::{ACTIVATE_CAP, OF_POSITIONS, OF_TOKENS, SCALAR_F16, SCALAR_F32},
    sample,
};

use super::{
    cost::Cost,
    dispatch::{Binding, Dispatch, Plan, Slot},
    linear::Linear,
};
use crate::{
    Gpu, Precision, SamplerOptions,
    model::{
        block::{Layout, MatrixId},
        config::Config,
        lora::Lora,
        options::CacheType,
        weights::Matrix,
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
    pub gpu: &'a Gpu,
    /// The model's numbers.
    pub config: &'a Config,
    /// Its weights.
    pub layout: &'a Layout,
    /// What is computed beside them, and the factor on each.
    pub loras: &'a [(Lora, f32)],
    /// Exact or default arithmetic.
    pub precision: Precision,
    /// How keys and values are kept.
    pub cache: CacheType,
    /// Positions that a session has.
    pub context: u32,
    /// Tokens of the widest pass.
    pub prefill_batch: u32,
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
        // Heads know RMSNorm on the way in, and no other.
        if self.config.layer_norm {
            self.input(Some(self.layout.output_norm), width, &mut all);
        }
        Plan {
            dispatches: all,
            tokens: width.tokens(),
        }
    }

    /// Every plan that a session runs; `prefill_batch` tokens are the widest pass.
    pub fn plans(&self) -> Vec<Plan> {
        let prefill = Width::Prefill(self.prefill_batch);
        let neutral = SamplerOptions::greedy().params(self.config.vocab_size);
        let mut plans = vec![self.step(Width::Decode), self.step(prefill)];
        plans.extend(self.splits().then(|| self.step(Width::DecodeLong)));
        plans.push(self.head(prefill, Rows::All));
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
        let x = if self.config.layer_norm {
            (Slot::H, None)
        } else {
            (Slot::X, Some(self.layout.output_norm.weight))
        };
        let logits = (Slot::Logits, self.config.vocab_size);
        let linear = Linear::stored(self.layout.output, x, logits);
        let mut dispatches = Vec::new();
        match (width, rows) {
            (Width::Prefill(_), Rows::Last) => {
                self.matvec(&linear, false, &mut dispatches);
                self.adapted_last(&linear, &mut dispatches);
            }
            _ => self.linear(linear, width, &mut dispatches),
        }
        if let Some(softcap) = self.config.scales.logit_softcap {
            dispatches.push(self.pointwise(logits, None, &ACTIVATE_CAP, softcap));
        }
        Plan {
            dispatches,
            tokens: width.tokens(),
        }
    }

    /// Sampling the likeliest token.
    pub fn greedy(&self) -> Plan {
        let params = argmax::Params {
            vocab_size: self.config.vocab_size,
        };
        let mut binds = vec![("logits", Binding::Slot(Slot::Logits))];
        binds.extend(SAMPLING);
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

    /// Sampling by chance.
    pub fn sample(&self, params: &sample::Params) -> Plan {
        let mut binds = vec![
            ("logits", Binding::Slot(Slot::Logits)),
            ("scores", Binding::Slot(Slot::Scores)),
            ("seen", Binding::Slot(Slot::Seen)),
        ];
        binds.extend(SAMPLING);
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
        let first = Shader::new(kernel, self.gpu.variant(kernel), parts, consts);
        let variant = self.gpu.variant_for(kernel, &first.shape());
        Shader { variant, ..first }
    }

    pub(super) fn exact(&self) -> bool {
        self.precision == Precision::Exact
    }

    /// Tiles of f16 where the adapter gains by them.
    pub(super) fn scalar(&self) -> &'static Part {
        let f16 = self.gpu.adapter().features.shader_f16 && !self.gpu.software();
        if f16 && !self.exact() {
            &SCALAR_F16
        } else {
            &SCALAR_F32
        }
    }

    /// Matrix of the model or of a LoRA; those of LoRAs are numbered after the model's.
    pub(super) fn matrix(&self, id: MatrixId) -> &Matrix {
        let loras = self.loras.iter();
        let more = loras.flat_map(|(lora, _)| &lora.0.matrices);
        let mut all = self.layout.matrices.iter().chain(more);
        all.nth(id).expect("a matrix of the model or of a LoRA")
    }

    fn embed(&self) -> Vec<Dispatch> {
        let scales = &self.config.scales;
        let mut all = Vec::new();
        self.look_up(
            self.layout.embedding,
            &OF_TOKENS,
            scales.embedding,
            &mut all,
        );
        if let Some(positions) = self.layout.positions {
            self.look_up(positions, &OF_POSITIONS, 1.0, &mut all);
        }
        all
    }

    fn look_up(&self, id: MatrixId, of: &'static Part, scale: f32, all: &mut Vec<Dispatch>) {
        let matrix = &self.layout.matrices[id];
        let cols = matrix.cols;
        for (index, piece) in matrix.pieces.iter().enumerate() {
            let params = embed::Params {
                cols,
                rows: piece.rows,
                row_start: piece.row_start,
                scale: scale / self.config.scales.residual,
            };
            let binds = vec![
                ("weights", Binding::Weights(id, index)),
                ("x", Binding::Slot(Slot::X)),
                ("rows", Binding::Slot(Slot::Rows)),
            ];
            let shader = self.shader(&embed::EMBED, &[matrix.part(), of], &[]);
            let what = format!("{} ({}×{cols})", matrix.name, piece.rows);
            all.push(dispatch(
                shader,
                &what,
                "tokens → x",
                binds,
                bytes_of_params(&params),
                padded(cols) / 32,
            ));
        }
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

/// What every dispatch that samples a token binds.
const SAMPLING: [(&str, Binding); 2] = [
    ("rows", Binding::Slot(Slot::Rows)),
    ("sampled", Binding::Slot(Slot::Sampled)),
];

pub(super) fn dispatch(
    shader: Shader,
    what: &str,
    flow: &str,
    binds: Vec<(&'static str, Binding)>,
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
