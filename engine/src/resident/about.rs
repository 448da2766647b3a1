//! Context, plans and graph of a model on an adapter, by the file's header alone. No weights are read.

use crate::{
    Error, Gpu, ModelFile, Result,
    graph::{Graph, Section},
    model::{
        config::Config, forward::Ending, layout::Layout, options::LoadOptions, weights::PieceLimits,
    },
    plan::{dispatch::Plan, lowering::Width, plans::Builder},
};

impl ModelFile {
    /// Positions of a session with these options.
    pub fn context(&self, options: &LoadOptions) -> Result<usize> {
        Ok(options.context_of(&Config::of(self)?))
    }

    /// Tokens of a prefill pass with these options.
    pub fn prefill_batch(&self, gpu: &Gpu, options: &LoadOptions) -> Result<usize> {
        Ok(options.prefill_batch_on(gpu, &Config::of(self)?))
    }

    /// Refuses tokens that there are none of, and more than a session has room for; before any weight is read.
    ///
    /// # Errors
    /// [`Error::BadInput`], [`Error::ContextFull`].
    pub fn admit(&self, tokens: &[u32], options: &LoadOptions) -> Result<()> {
        let config = Config::of(self)?;
        let context = options.context_of(&config);
        admit(tokens, tokens.len(), config.vocab_size, context)
    }

    /// The dispatches of one decoded token (width 1, sampling included), or of a prefill pass with its last logits;
    /// reads no weights.
    pub fn plan(&self, gpu: &Gpu, options: &LoadOptions, width: usize) -> Result<Plan> {
        let config = Config::of(self)?;
        let layout = Layout::of(PieceLimits::of(gpu), self, &config)?;
        let builder = builder(gpu, &config, &layout, options, width);
        let decodes = width == 1 && builder.ending == Ending::Logits;
        let kind = if decodes {
            Width::Decode
        } else {
            Width::Prefill(width as u32)
        };
        let mut plan = builder.pass(kind);
        plan.dispatches.retain(|d| d.section != Section::AllLogits);
        if decodes {
            plan.dispatches
                .extend(builder.greedy(Section::LastLogits).dispatches);
        }
        Ok(plan)
    }

    /// The ops of a pass with its last logits, or what else it ends in; reads no weights.
    pub fn graph(&self, gpu: &Gpu, options: &LoadOptions) -> Result<Graph> {
        let config = Config::of(self)?;
        let layout = Layout::of(PieceLimits::of(gpu), self, &config)?;
        let batch = options.prefill_batch_on(gpu, &config);
        let builder = builder(gpu, &config, &layout, options, batch);
        Ok(builder.graph(&[Section::LastLogits]))
    }
}

/// Builds plans of a model that is not loaded, for passes of `prefill_batch` tokens.
pub(super) fn builder<'a>(
    gpu: &'a Gpu,
    config: &'a Config,
    layout: &'a Layout,
    options: &LoadOptions,
    prefill_batch: usize,
) -> Builder<'a> {
    Builder {
        gpu,
        loras: &[],
        config,
        layout,
        precision: options.precision,
        cache: options.cache_type(),
        context: options.context_of(config) as u32,
        prefill_batch: prefill_batch as u32,
        sequences: 1,
        block: None,
        ending: Ending::of(config, layout),
    }
}

/// Refuses `tokens`, of which the session then holds `held`, by the vocabulary and the context.
pub(crate) fn admit(tokens: &[u32], held: usize, vocab_size: u32, context: usize) -> Result<()> {
    if let Some(token) = tokens.iter().find(|&&t| t >= vocab_size) {
        return Err(Error::BadInput(format!(
            "there is no token {token}: the vocabulary has {vocab_size}"
        )));
    }
    if held > context {
        return Err(Error::ContextFull {
            tokens: held,
            context,
        });
    }
    Ok(())
}
