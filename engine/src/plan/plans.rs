//! The plans of a model: built once for it, and kept; sessions only bind them.

use std::sync::Arc;

use lantern_kernels::{Shader, argmax, bytes_of_params, padded, sample};

use super::{
    cost::Cost,
    dispatch::{Binding, Dispatch, Plan, SamplerMemory},
    lowering::{ALL_LOGITS_ROWS, Lowering, Width, shader, small_rows, splits},
};
use crate::{
    Gpu, Precision,
    graph::{Graph, Section, StateSpec},
    model::{
        config::Config,
        forward::{Ending, draft_forward, forward},
        layout::Layout,
        lora::LoraLayout,
        mixer::{self, Shape},
        options::CacheType,
    },
};

/// Inputs that a model's plans are built from.
#[derive(Clone, Copy)]
pub struct Builder<'a> {
    /// Picks variants.
    pub gpu: &'a Gpu,
    /// The model's numbers.
    pub config: &'a Config,
    /// Its weights.
    pub layout: &'a Layout,
    /// LoRAs that are computed beside them, and the factor on each.
    pub loras: &'a [(&'a LoraLayout, f32)],
    /// Exact or mixed arithmetic.
    pub precision: Precision,
    /// How keys and values are kept.
    pub cache: CacheType,
    /// Positions of a sequence.
    pub context: u32,
    /// Rows of the largest pass.
    pub prefill_batch: u32,
    /// Sequences that a session keeps state of.
    pub sequences: u32,
    /// Positions of a block of the cache, where sequences share one that is paged.
    pub block: Option<u32>,
    /// Results that passes end in.
    pub ending: Ending,
}

/// Every plan that a session runs.
pub struct Plans {
    /// Tokens one by one; none where passes do not end in logits.
    pub tokens: Option<TokenPlans>,
    /// Many rows, with the logits of all, or of the last, as sections; or with what else they end in.
    pub prefill: Arc<Plan>,
    /// A small batch of rows, likewise, where that is another plan.
    pub small: Option<Arc<Plan>>,
    /// States that layers keep of a sequence.
    pub states: Vec<StateSpec>,
}

/// Plans that bring tokens one by one.
pub struct TokenPlans {
    /// One row, with its logits.
    pub decode: Arc<Plan>,
    /// One row far into the context, where that is another plan.
    pub decode_long: Option<Arc<Plan>>,
    /// The likeliest token.
    pub greedy: Arc<Plan>,
    /// A token by chance.
    pub sample: Arc<Plan>,
    /// The likeliest token after each row of a pass, where there are several sequences.
    pub greedy_rows: Option<Arc<Plan>>,
    /// A token by chance after each of them.
    pub sample_rows: Option<Arc<Plan>>,
}

impl TokenPlans {
    fn all(&self) -> impl Iterator<Item = &Arc<Plan>> {
        let decode = [&self.decode].into_iter().chain(&self.decode_long);
        let one = decode.chain([&self.greedy, &self.sample]);
        one.chain(&self.greedy_rows).chain(&self.sample_rows)
    }
}

impl Plans {
    /// Every plan.
    pub fn all(&self) -> impl Iterator<Item = &Plan> {
        let tokens = self.tokens.iter().flat_map(TokenPlans::all);
        let all = tokens.chain([&self.prefill]).chain(&self.small);
        all.map(|plan| &**plan)
    }

    /// Whether passes end in logits, of all rows or of the last.
    pub fn has_logits(&self) -> bool {
        let mut sections = self.prefill.dispatches.iter().map(|d| d.section);
        sections.any(|section| section == Section::AllLogits)
    }

    /// The plan of a row, or that of many where there is no other.
    pub fn narrowest(&self) -> &Arc<Plan> {
        let tokens = self.tokens.as_ref();
        tokens.map_or(&self.prefill, |tokens| &tokens.decode)
    }

    /// Every dispatch.
    pub fn dispatches(&self) -> impl Iterator<Item = &Dispatch> {
        self.all().flat_map(|plan| &plan.dispatches)
    }

    /// The shaders, each as often as it is dispatched.
    pub fn shaders(&self) -> Vec<Shader> {
        self.dispatches().map(|d| d.shader.clone()).collect()
    }

    /// Bytes of each buffer that activations take turns in, enough for every plan.
    pub fn buffers(&self) -> Vec<u64> {
        let mut sizes: Vec<u64> = vec![];
        for plan in self.all() {
            sizes.resize(sizes.len().max(plan.buffers.len()), 0);
            for (size, &wanted) in sizes.iter_mut().zip(&plan.buffers) {
                *size = (*size).max(wanted);
            }
        }
        sizes
    }
}

impl Builder<'_> {
    /// All plans.
    pub fn plans(&self) -> Plans {
        // An adapter on the CPU compiles for long: there a prompt's few rows are not worth a plan, those of many users are.
        let users = self.sequences > 1 && self.ending == Ending::Logits;
        let small =
            (!self.gpu.software() || users).then(|| self.prefill_batch.min(small_rows(self.gpu)));
        Plans {
            tokens: (self.ending == Ending::Logits).then(|| self.tokens()),
            prefill: self.pass(Width::Prefill(self.prefill_batch)).into(),
            small: small.map(|rows| self.pass(Width::Prefill(rows)).into()),
            states: self.states(),
        }
    }

    fn tokens(&self) -> TokenPlans {
        let several = self.sequences > 1;
        TokenPlans {
            decode: self.pass(Width::Decode).into(),
            decode_long: self.splits().then(|| self.pass(Width::DecodeLong).into()),
            greedy: self.greedy(Section::LastLogits).into(),
            sample: self.sample(Section::LastLogits).into(),
            greedy_rows: several.then(|| self.greedy(Section::AllLogits).into()),
            sample_rows: several.then(|| self.sample(Section::AllLogits).into()),
        }
    }

    /// A pass with its logits: of the last row, and for many rows, as another section, of every one; or with what else it
    /// ends in.
    pub fn pass(&self, width: Width) -> Plan {
        let heads: &[Section] = match (self.ending, width) {
            (Ending::Draft, _) => &[Section::AllLogits, Section::Hidden],
            (_, Width::Prefill(_)) => &[Section::AllLogits, Section::LastLogits],
            _ => &[Section::LastLogits],
        };
        self.lowering(width).lower(&self.graph(heads))
    }

    /// The ops of a pass, with the logits of these sections where it ends in logits.
    pub fn graph(&self, heads: &[Section]) -> Graph {
        let (config, layout, shape) = (self.config, self.layout, self.shape());
        match &layout.draft {
            Some(draft) if self.ending == Ending::Draft => {
                draft_forward(config, draft, &shape, heads)
            }
            _ => forward((config, layout), &shape, (self.ending, heads)),
        }
    }

    /// Sizes that a graph of this model is written for.
    fn shape(&self) -> Shape {
        Shape {
            context: self.context,
            cache: self.cache,
            prefill_batch: self.prefill_batch,
        }
    }

    fn lowering(&self, width: Width) -> Lowering<'_> {
        Lowering {
            gpu: self.gpu,
            layout: self.layout,
            loras: self.loras,
            precision: self.precision,
            cache: self.cache,
            context: self.context,
            sequences: self.sequences,
            block: self.block,
            width,
        }
    }

    /// States that layers keep of a sequence.
    pub fn states(&self) -> Vec<StateSpec> {
        let layers = self.config.layers;
        let own = match self.ending {
            Ending::Draft => layers..layers + 1,
            Ending::Logits | Ending::Rows(_) => 0..layers,
        };
        let mut states = mixer::states(self.config, own, &self.shape());
        states.extend(self.ending.state(self.config));
        states
    }

    /// Whether attention far into the context is split while decoding.
    fn splits(&self) -> bool {
        splits(self.gpu, self.context)
    }

    /// Sampling the likeliest token after each row that these logits are of.
    pub fn greedy(&self, logits: Section) -> Plan {
        let vocab_size = self.config.vocab_size;
        let stride = padded(vocab_size);
        let shader = shader(self.gpu, &argmax::ARGMAX, &[], &[]);
        let params = bytes_of_params(&argmax::Params { vocab_size, stride });
        sampling(shader, "greedy", vec![], logits, params)
    }

    /// Sampling as the sequence's sampler says, after each row that these logits are of.
    fn sample(&self, logits: Section) -> Plan {
        let vocab_size = self.config.vocab_size;
        let stride = padded(vocab_size);
        let binds = vec![
            ("allowed", Binding::Sampler(SamplerMemory::Allowed)),
            ("bias", Binding::Sampler(SamplerMemory::Bias)),
            ("scores", Binding::Sampler(SamplerMemory::Scores)),
            ("seen", Binding::Sampler(SamplerMemory::Seen)),
            ("samplers", Binding::Sampler(SamplerMemory::Settings)),
        ];
        let shader = shader(self.gpu, &sample::SAMPLE, &[], &[]);
        let params = bytes_of_params(&sample::Params { vocab_size, stride });
        sampling(shader, "sample", binds, logits, params)
    }
}

/// The plan of one dispatch that samples tokens.
fn sampling(
    shader: Shader,
    what: &str,
    mut binds: Vec<(&'static str, Binding)>,
    logits: Section,
    params: Vec<u8>,
) -> Plan {
    let last_row = logits == Section::LastLogits;
    binds.extend([
        ("logits", Binding::Logits(logits)),
        ("rows", Binding::Rows),
        ("sampled", Binding::Sampler(SamplerMemory::Sampled)),
    ]);
    let dispatch = Dispatch {
        layer: None,
        section: logits,
        shader,
        what: what.to_owned(),
        flow: "logits → tokens".to_owned(),
        binds,
        params,
        units: 1,
        token_start: 0,
        last_row,
        x_range: None,
        cost: Cost::default(),
        rules: vec![],
    };
    let rows = if last_row { 1 } else { ALL_LOGITS_ROWS };
    Plan::of(vec![dispatch], rows)
}
