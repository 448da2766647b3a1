//! A model's numbers, from the header's metadata and checked: sizes are sane before anything is allocated by them.

mod blocks;
mod experts;
mod heads;
mod kinds;
mod latent;
mod mamba;
mod pooling;

pub use blocks::{
    AttentionConfig, BlockConfig, DeltaNetConfig, FfnConfig, LatentConfig, MixerConfig,
    Rwkv7Config, ShortConvConfig,
};
pub use experts::ExpertsConfig;
pub use mamba::{MambaConfig, StepsConfig};

pub(super) use pooling::PROJECTIONS;
pub use pooling::{Pooling, PoolingConfig};

use std::collections::BTreeSet;

use serde::Serialize;

use blocks::Rotation;
use heads::Heads;

use super::{
    families::{Embedding, Family, LocalRope, LogitScale, Temperatures, Unrotated},
    gguf_keys,
    keys::{Keys, LARGEST},
    known,
    rope::{Rope, Scaling, Temperature, rotated_values},
    stated,
};
use crate::{
    Error, ModelFile, Result,
    file::short,
    graph::{NormKind, RopeStyle},
};

/// A model's numbers, in the terms of the Llama paper.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The family's name.
    pub family: String,
    /// `general.name`, or the family's.
    pub name: String,
    /// How many blocks there are.
    pub layers: u32,
    /// Size of the residual stream: hidden_size.
    pub dim: u32,
    /// Numbers of each block.
    #[serde(serialize_with = "blocks::by_numbers")]
    pub blocks: Vec<BlockConfig>,
    /// Tokens of the vocabulary: rows of the embedding.
    pub vocab_size: u32,
    /// Positions that the model was trained for.
    pub context: u32,
    /// Rotary embeddings: the model's, and that of layers with a window where it is another; none where nothing is rotated.
    pub ropes: Vec<Rope>,
    /// Which values of a head they rotate together.
    pub rope_style: RopeStyle,
    /// Positions that have a learned embedding, where they have one; then there is no rotary embedding.
    pub learned_positions: Option<u32>,
    /// Size of an embedding that each layer has of its own, where they have one.
    pub layer_embedding_dim: Option<u32>,
    /// Whether a row attends to those before it alone; in encoders it attends to all of its sequence, which one pass has
    /// to have whole.
    pub causal: bool,
    /// Settings of what is made of whole texts.
    pub pooling: PoolingConfig,
    /// LayerNorm in the place of RMSNorm.
    pub layer_norm: bool,
    /// The norms' epsilon.
    pub norm_epsilon: f32,
    /// Factors on activations, and softcaps.
    pub scales: Scales,
    /// The family's row.
    #[serde(skip)]
    pub row: &'static Family,
    /// Blocks after the last that draft further tokens: left out, but for the first where it was asked for, whose numbers
    /// then follow those of the others.
    pub draft_layers: u32,
}

/// Factors on activations, and softcaps.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Scales {
    /// On embeddings.
    pub embedding: f32,
    /// On what each layer adds to the residual stream.
    pub residual: f32,
    /// On logits.
    pub logits: f32,
    /// Softcap of attention scores: c tanh(score / c).
    pub score_softcap: Option<f32>,
    /// Exponent of ALiBi's last slope, where scores fall with the distance.
    pub alibi: Option<f32>,
    /// Softcap of logits.
    pub logit_softcap: Option<f32>,
}

impl ModelFile {
    /// The model's numbers.
    pub fn config(&self) -> Result<Config> {
        Config::of(self)
    }
}

impl Config {
    /// The configuration of a model file.
    pub fn of(file: &ModelFile) -> Result<Config> {
        Config::with_drafts(file, false)
    }

    /// The configuration of a model file, with the block that drafts further tokens where `draft` says so.
    ///
    /// # Errors
    /// [`Error::BadInput`] where the model has none.
    pub fn with_drafts(file: &ModelFile, draft: bool) -> Result<Config> {
        let read = || {
            let (family, prefix) = known::family(file.metadata())?;
            Config::read(&Keys::new(file, prefix), family, draft)
        };
        read().map_err(|error| error.in_file(file.label()))
    }

    /// Whether it has the numbers of a block that drafts further tokens.
    pub fn has_draft(&self) -> bool {
        self.blocks.len() > self.layers as usize
    }

    /// Keys of the header that decide the configuration; none where the model is not run.
    pub(super) fn keys_read(file: &ModelFile) -> Option<BTreeSet<String>> {
        let (family, prefix) = known::family(file.metadata()).ok()?;
        let keys = Keys::new(file, prefix);
        Config::read(&keys, family, false).ok()?;
        Some(keys.asked())
    }

    fn read(keys: &Keys, family: &'static Family, draft: bool) -> Result<Config> {
        let file = keys.file;
        stated::check(file.metadata(), family)?;
        gguf_keys::check(keys, family)?;
        let dim = keys.required("embedding_length")?;
        let draft_layers = keys.optional("nextn_predict_layers")?.unwrap_or(0);
        let layers = layers(keys, draft_layers)?;
        if draft && draft_layers == 0 {
            return Err(Error::BadInput("the model has no draft block".into()));
        }
        let windows = kinds::windows(keys, family, layers + u32::from(draft))?;
        let causal = kinds::causal(keys, family, &windows)?;
        let heads = Heads::read(keys, family, dim, &windows)?;
        let context = keys.required("context_length")?;
        let (ropes, rotation) = ropes(keys, family, (&heads, &windows), context)?;
        let learned = file.tensor("position_embd.weight");
        let learned = learned.and_then(|t| t.shape.get(1)).copied();
        // No name is worth refusing a model for.
        let name = file.metadata().text("general.name").ok().flatten();
        let name = name.unwrap_or(keys.prefix).to_owned();
        let layer_norm = family.norm.kind() == NormKind::Layer;
        Ok(Config {
            family: family.name.to_string(),
            name,
            layers,
            dim,
            blocks: blocks::read(keys, family, (&heads, &windows), (causal, dim), &rotation)?,
            vocab_size: vocab_size(keys)?,
            context,
            ropes,
            rope_style: rope_style(keys, family)?,
            learned_positions: learned.map(|rows| u32::try_from(rows).unwrap_or(u32::MAX)),
            layer_embedding_dim: layer_embedding_dim(keys, family)?,
            causal,
            pooling: PoolingConfig::read(keys)?,
            layer_norm,
            norm_epsilon: norm_epsilon(keys, layer_norm)?,
            scales: scales(keys, family, dim)?,
            row: family,
            draft_layers,
        })
    }

    /// The model's own pooling; the mean, as in sentence-transformers, where it says none.
    pub fn usual_pooling(&self) -> Pooling {
        self.pooling.usual.unwrap_or(Pooling::Mean)
    }

    /// Numbers of the first attention; none where no block has any.
    pub fn attention(&self) -> Option<&AttentionConfig> {
        self.attentions().next()
    }

    /// Whether every head is a multiple of `values`, as caches in blocks of so many want it.
    pub fn in_blocks_of(&self, values: u32) -> bool {
        let mut heads = self.attentions().map(|attention| attention.head_dim);
        heads.all(|head_dim| head_dim.is_multiple_of(values))
    }

    /// Numbers of every block's attention.
    pub(crate) fn attentions(&self) -> impl Iterator<Item = &AttentionConfig> {
        self.blocks.iter().filter_map(BlockConfig::attention)
    }

    /// The residual stream is kept without the factor on what layers add to it: norms undo any factor, if their epsilon
    /// has its square.
    pub(crate) fn stream_epsilon(&self) -> f32 {
        self.norm_epsilon / (self.scales.residual * self.scales.residual)
    }
}

fn layer_embedding_dim(keys: &Keys, family: &Family) -> Result<Option<u32>> {
    if !family.shared_keys {
        return Ok(None);
    }
    keys.optional("embedding_length_per_layer_input")
}

/// How many blocks there are, but for the last `draft_layers`: no more than the file has tensors.
fn layers(keys: &Keys, draft_layers: u32) -> Result<u32> {
    let all = keys.required("block_count")?;
    let tensors = keys.file.tensors().len();
    if all as usize > tensors {
        return Err(Error::bad_file(format!(
            "metadata {} is {all}, and the file has {tensors} tensors",
            keys.key("block_count")
        )));
    }
    let layers = all.checked_sub(draft_layers).filter(|&layers| layers > 0);
    layers.ok_or_else(|| Error::bad_file(format!("{draft_layers} draft blocks leave no other")))
}

/// The model's rotary embeddings, and which layers have them.
fn ropes(
    keys: &Keys,
    family: &Family,
    (heads, windows): (&Heads, &[Option<u32>]),
    context: u32,
) -> Result<(Vec<Rope>, Rotation)> {
    let layers = kinds::rotated_layers(keys, family, windows)?;
    let may_lack = matches!(family.unrotated, Unrotated::All | Unrotated::Untrained);
    let (mut ropes, mut local) = (vec![], 0);
    if heads.any() && (!may_lack || layers.contains(&true)) {
        let rope = Rope::of(keys, family, heads.head_dim, context)?;
        let local_rope = local_rope(keys, family, &rope, heads.local_head_dim)?;
        local = usize::from(local_rope.is_some());
        let query_rope = query_rope(keys, family, &rope, heads)?;
        let all = [Some(rope), local_rope, query_rope].into_iter();
        ropes = all.flatten().collect();
    }
    let rotation = Rotation {
        layers,
        local,
        count: ropes.len(),
    };
    Ok((ropes, rotation))
}

/// The family's RoPE style, unless the file says otherwise.
fn rope_style(keys: &Keys, family: &Family) -> Result<RopeStyle> {
    match keys.metadata().text("lantern.rope_style")? {
        None => Ok(family.rope_style),
        Some("neox") => Ok(RopeStyle::NeoX),
        Some("interleaved") => Ok(RopeStyle::Interleaved),
        Some(other) => Err(Error::bad_file(format!(
            "metadata lantern.rope_style is {}, neither interleaved nor neox",
            short(other)
        ))),
    }
}

/// The rotary embedding of layers with a window, whose heads have `head_dim` values, where it is another.
fn local_rope(keys: &Keys, family: &Family, rope: &Rope, head_dim: u32) -> Result<Option<Rope>> {
    let usual = match family.local_rope {
        LocalRope::Same => return Ok(None),
        LocalRope::Unscaled => rope.base,
        LocalRope::Base(base) => base,
    };
    let dimensions = keys.optional("rope.dimension_count_swa")?;
    Ok(Some(Rope {
        base: keys.factor("rope.freq_base_swa")?.unwrap_or(usual),
        dimensions: rotated_values(
            dimensions.unwrap_or(rope.dimensions.min(head_dim)),
            head_dim,
        )?,
        scaling: Scaling::None,
        length: 1.0,
        factored: family.local_rope == LocalRope::Same,
        ..rope.clone()
    }))
}

/// The rotary embedding of queries that grow with the position.
fn query_rope(keys: &Keys, family: &Family, rope: &Rope, heads: &Heads) -> Result<Option<Rope>> {
    let still = |temperature| Rope {
        dimensions: heads.query_dim(),
        scaling: Scaling::Still,
        length: 1.0,
        factored: false,
        temperature: Some(temperature),
        ..rope.clone()
    };
    Ok(match family.temperature {
        Temperatures::None => None,
        Temperatures::All => {
            let scale = keys.factor("attention.temperature_scale")?;
            scale.map(|scale| Rope {
                temperature: Some(Temperature {
                    scale,
                    length: rope.original_context,
                    offset: 0,
                }),
                ..rope.clone()
            })
        }
        Temperatures::Stated => match keys.factor("attention.temperature_scale")? {
            None => None,
            Some(scale) => Some(still(Temperature {
                scale,
                length: keys.required("attention.temperature_length")?,
                offset: 0,
            })),
        },
        Temperatures::Unrotated(length) => Some(still(Temperature {
            scale: 0.1,
            length,
            offset: 1,
        })),
    })
}

fn scales(keys: &Keys, family: &Family, dim: u32) -> Result<Scales> {
    let one = |key: &str| Ok::<f32, Error>(keys.factor(key)?.unwrap_or(1.0));
    let usual = if family.embedding == Embedding::Scaled {
        (dim as f32).sqrt()
    } else {
        1.0
    };
    let none = keys.metadata().texts("lantern.none")?.unwrap_or(&[]);
    let softcap = |key: &str, usual: Option<f32>| {
        let none = keys.has(key) || none.iter().any(|name| name == key);
        Ok::<_, Error>(keys.factor(key)?.or(usual.filter(|_| !none)))
    };
    Ok(Scales {
        embedding: usual * one("embedding_scale")?,
        residual: one("residual_scale")?,
        logits: match family.logit_scale {
            LogitScale::Divides => 1.0 / one("logit_scale")?,
            LogitScale::Multiplies => one("logit_scale")?,
        },
        score_softcap: softcap("attn_logit_softcapping", family.score_softcap)?,
        alibi: match family.alibi {
            Some(usual) => Some(keys.factor("attention.max_alibi_bias")?.unwrap_or(usual)),
            None => None,
        },
        logit_softcap: softcap("final_logit_softcapping", family.logit_softcap)?,
    })
}

/// The norms' epsilon.
fn norm_epsilon(keys: &Keys, layer_norm: bool) -> Result<f32> {
    let kind = if layer_norm {
        "layer_norm_epsilon"
    } else {
        "layer_norm_rms_epsilon"
    };
    let epsilon = keys.key(&format!("attention.{kind}"));
    let missing = || Error::bad_file(format!("metadata {epsilon} is missing"));
    let norm_epsilon = keys.metadata().f32(&epsilon)?.ok_or_else(missing)?;
    if !(norm_epsilon.is_finite() && norm_epsilon >= 0.0) {
        return Err(Error::bad_file(format!(
            "metadata {epsilon} is {norm_epsilon}"
        )));
    }
    Ok(norm_epsilon)
}

/// Rows of the embedding, which the metadata and the tokenizer must not contradict.
fn vocab_size(keys: &Keys) -> Result<u32> {
    let embedding = keys.file.tensor("token_embd.weight");
    let embedding =
        embedding.ok_or_else(|| Error::bad_file("tensor token_embd.weight is missing"))?;
    let rows = embedding.shape.get(1).copied().unwrap_or(0);
    let vocab_size = u32::try_from(rows).ok().filter(|&v| v > 0 && v <= LARGEST);
    let vocab_size =
        vocab_size.ok_or_else(|| Error::bad_file(format!("token_embd.weight has {rows} rows")))?;
    let key = keys.key("vocab_size");
    let claimed = keys.metadata().u32(&key)?;
    if let Some(claimed) = claimed.filter(|&claimed| claimed != vocab_size && claimed > 0) {
        return Err(Error::bad_file(format!(
            "metadata {key} is {claimed}, but token_embd.weight has {rows} rows"
        )));
    }
    let tokens = keys.metadata().texts("tokenizer.ggml.tokens")?;
    let tokens = tokens.map_or(0, <[String]>::len);
    if tokens > vocab_size as usize {
        return Err(Error::bad_file(format!(
            "the tokenizer has {tokens} tokens, but token_embd.weight has {rows} rows"
        )));
    }
    Ok(vocab_size)
}
