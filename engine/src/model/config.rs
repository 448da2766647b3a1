//! A model's numbers, from the header's metadata and checked: sizes are sane before anything is allocated by them.

use std::collections::BTreeSet;

use lantern_kernels::experts::MAX_TOP_K;
use serde::Serialize;

use super::{
    families::{self, Family},
    gguf_keys,
    keys::{Keys, LARGEST},
    rope::{Rope, Scaling},
    stated,
};
use crate::{
    Error, ModelFile, Result, Unsupported,
    file::{Metadata, Value, short},
    graph::{Activation, KeyHeads, NormKind, RopeStyle},
};

/// A model's numbers, in the terms of the Llama paper.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The family's row.
    pub family: String,
    /// `general.name`, or the family's.
    pub name: String,
    /// Blocks.
    pub layers: u32,
    /// Size of the residual stream: hidden_size.
    pub dim: u32,
    /// Query heads.
    pub heads: u32,
    /// Key and value heads.
    pub kv_heads: u32,
    /// Values of a head, of its queries and keys alike.
    pub head_dim: u32,
    /// Size of the hidden layer of the MLP, or of one expert where there are experts.
    pub ffn_dim: u32,
    /// Mixture of experts in the place of the MLP.
    pub experts: Option<ExpertsConfig>,
    /// The activation of the MLP.
    pub activation: Activation,
    /// Tokens of the vocabulary: rows of the embedding.
    pub vocab_size: u32,
    /// Positions that the model was trained for.
    pub context: u32,
    /// Rotary embedding.
    pub rope: Rope,
    /// Which values of a head it rotates together.
    pub rope_style: RopeStyle,
    /// Rotary embedding of layers with a window, where it is another.
    pub local_rope: Option<Rope>,
    /// Layers, from 0, whose queries and keys are rotated.
    pub rotated_layers: Vec<bool>,
    /// Positions that have a learned embedding, where they have one; then there is no rotary embedding.
    pub learned_positions: Option<u32>,
    /// Positions that layers with a window attend to; none where no layer has one.
    pub window: Option<u32>,
    /// Layers, from 0, that have it.
    pub windowed_layers: Vec<bool>,
    /// LayerNorm in the place of RMSNorm.
    pub layer_norm: bool,
    /// The norms' epsilon.
    pub norm_epsilon: f32,
    /// Factors on activations, and softcaps.
    pub scales: Scales,
    /// Whether attention's result is multiplied with the sigmoid of a gate, which its queries' matrix makes.
    pub attention_gate: bool,
    /// Sizes of the gated delta nets that some layers have in the place of attention.
    pub delta_net: Option<DeltaNetConfig>,
    /// Layers, from 0, whose mixer has a recurrent state in the place of a cache.
    pub recurrent_layers: Vec<bool>,
    /// The name of the norm before the MLP.
    #[serde(skip)]
    pub ffn_norm_name: &'static str,
    /// Blocks after the last that draft further tokens; they are left out.
    pub draft_layers: u32,
}

/// Mixture of experts of a layer.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ExpertsConfig {
    /// Experts of a layer.
    pub n_experts: u32,
    /// Experts that the router picks for a token.
    pub top_k: u32,
}

/// Sizes of a gated delta net.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct DeltaNetConfig {
    /// Rows that the convolution makes a result of.
    pub conv_kernel: u32,
    /// Heads of queries and keys.
    pub key_heads: u32,
    /// Heads of values.
    pub value_heads: u32,
    /// Values of a query's or a key's head.
    pub key_dim: u32,
    /// Values of a value's head.
    pub value_dim: u32,
    /// Which key head a value head reads.
    pub sharing: KeyHeads,
}

/// Factors on activations, and softcaps.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Scales {
    /// On embeddings.
    pub embedding: f32,
    /// On what each layer adds to the residual stream.
    pub residual: f32,
    /// On attention's scores.
    pub attention: f32,
    /// On logits.
    pub logits: f32,
    /// Softcap of attention scores: c tanh(score / c).
    pub score_softcap: Option<f32>,
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
        let read = || {
            let (family, prefix) = families::family(file.metadata())?;
            Config::read(&Keys::new(file, prefix), family)
        };
        read().map_err(|error| error.in_file(file.label()))
    }

    /// Keys of the header that decide the configuration; none where the model is not run.
    pub(super) fn keys_read(file: &ModelFile) -> Option<BTreeSet<String>> {
        let (family, prefix) = families::family(file.metadata()).ok()?;
        let keys = Keys::new(file, prefix);
        Config::read(&keys, family).ok()?;
        Some(keys.asked())
    }

    fn read(keys: &Keys, family: &Family) -> Result<Config> {
        let file = keys.file;
        stated::check(file.metadata(), family)?;
        gguf_keys::check(keys)?;
        let (dim, heads) = (
            keys.required("embedding_length")?,
            keys.required("attention.head_count")?,
        );
        let kv_heads = keys.optional("attention.head_count_kv")?.unwrap_or(heads);
        let head_dim = head_dim(keys, dim, (heads, kv_heads))?;
        let draft_layers = keys.optional("nextn_predict_layers")?.unwrap_or(0);
        let layers = keys.required("block_count")?.checked_sub(draft_layers);
        let layers = layers.filter(|&layers| layers > 0).ok_or_else(|| {
            Error::bad_file(format!("{draft_layers} draft blocks leave no other"))
        })?;
        let recurrent_layers = recurrent_layers(keys, family, layers)?;
        let experts = experts(keys)?;
        let expert_dim = || keys.optional("expert_feed_forward_length");
        let ffn_dim = match experts.map(|_| expert_dim()).transpose()?.flatten() {
            Some(own) => own,
            None => keys.required("feed_forward_length")?,
        };
        let context = keys.required("context_length")?;
        let rope = Rope::of(keys, head_dim, context)?;
        let rope_style = rope_style(keys, family, &rope)?;
        let local_rope = local_rope(keys, family, &rope)?;
        let learned = file.tensor("position_embd.weight");
        let learned = learned.and_then(|t| t.shape.get(1)).copied();
        let windowed_layers = windowed_layers(keys, family, layers)?;
        let window = if windowed_layers.contains(&true) {
            keys.optional("attention.sliding_window")?.or(family.window)
        } else {
            None
        };
        // No name is worth refusing a model for.
        let name = file.metadata().text("general.name").ok().flatten();
        let name = name.unwrap_or(keys.prefix).to_owned();
        let layer_norm = family.norm == NormKind::Layer;
        Ok(Config {
            family: family.name.to_string(),
            name,
            layers,
            dim,
            heads,
            kv_heads,
            head_dim,
            ffn_dim,
            experts,
            activation: family.activation,
            vocab_size: vocab_size(keys)?,
            context,
            rope,
            rope_style,
            local_rope,
            rotated_layers: rotated_layers(keys, family, layers)?,
            learned_positions: learned.map(|rows| u32::try_from(rows).unwrap_or(u32::MAX)),
            window,
            windowed_layers,
            layer_norm,
            norm_epsilon: norm_epsilon(keys, layer_norm)?,
            scales: scales(keys, family, (dim, heads, head_dim, layers))?,
            attention_gate: family.attention_gate,
            delta_net: delta_net_sizes(keys, family)?,
            recurrent_layers,
            ffn_norm_name: family.ffn_norm_name,
            draft_layers,
        })
    }

    /// The window of a layer.
    pub(crate) fn window_of(&self, layer: u32) -> Option<u32> {
        self.window.filter(|_| is_set(&self.windowed_layers, layer))
    }

    /// Whether a layer's mixer has a recurrent state in the place of a cache.
    pub(crate) fn is_recurrent(&self, layer: u32) -> bool {
        is_set(&self.recurrent_layers, layer)
    }

    /// Pairs of a head that RoPE rotates in a layer.
    pub(crate) fn rotated_pairs(&self, layer: u32) -> u32 {
        let rotates = self.learned_positions.is_none() && is_set(&self.rotated_layers, layer);
        if rotates { self.rope.dimensions / 2 } else { 0 }
    }

    /// The residual stream is kept without the factor on what layers add to it: norms undo any factor, if their epsilon
    /// has its square.
    pub(crate) fn stream_epsilon(&self) -> f32 {
        self.norm_epsilon / (self.scales.residual * self.scales.residual)
    }
}

fn is_set(layers: &[bool], layer: u32) -> bool {
    layers.get(layer as usize).copied().unwrap_or(false)
}

/// A flag for each layer under a key, where it is there.
fn flags(metadata: &Metadata, key: &str, layers: u32) -> Result<Option<Vec<bool>>> {
    let Some(flags) = metadata.flags(key)? else {
        return Ok(None);
    };
    if flags.len() < layers as usize {
        return Err(Error::bad_file(format!(
            "metadata {key} has {} values for {layers} layers",
            flags.len()
        )));
    }
    Ok(Some(flags[..layers as usize].to_vec()))
}

/// Flags of layers that are all set but every so many of them.
fn all_but(interval: u32, layers: u32) -> Vec<bool> {
    (1..=layers)
        .map(|number| interval == 0 || !number.is_multiple_of(interval))
        .collect()
}

/// Layers whose queries and keys are rotated: as the file lists them, or as the family has them.
fn rotated_layers(keys: &Keys, family: &Family, layers: u32) -> Result<Vec<bool>> {
    let listed = flags(keys.metadata(), "lantern.rotated_layers", layers)?;
    Ok(listed.unwrap_or_else(|| all_but(family.no_rope_interval, layers)))
}

/// Layers with a window: as the file lists them or counts them, or as the family has them. Only families that have windows
/// are asked for GGUF's key: llama.cpp does not read it in the others.
fn windowed_layers(keys: &Keys, family: &Family, layers: u32) -> Result<Vec<bool>> {
    if let Some(listed) = flags(keys.metadata(), "lantern.windowed_layers", layers)? {
        return Ok(listed);
    }
    if family.sliding_window_pattern == 1 {
        return Ok(vec![false; layers as usize]);
    }
    let key = keys.key("attention.sliding_window_pattern");
    if let Some(Value::Integers(_)) = keys.metadata().get(&key) {
        return Ok(flags(keys.metadata(), &key, layers)?.unwrap_or_default());
    }
    let interval = keys.metadata().u32(&key)?;
    Ok(all_but(
        interval.unwrap_or(family.sliding_window_pattern),
        layers,
    ))
}

/// Layers with a recurrent state: as the file lists them, or all but every so many.
fn recurrent_layers(keys: &Keys, family: &Family, layers: u32) -> Result<Vec<bool>> {
    if !family.delta_net {
        return Ok(vec![]);
    }
    let key = keys.key("attention.recurrent_layers");
    if let Some(listed) = flags(keys.metadata(), &key, layers)? {
        return Ok(listed);
    }
    let interval = keys.optional("full_attention_interval")?.unwrap_or(4);
    Ok(all_but(interval, layers))
}

/// Sizes of a family's gated delta nets.
fn delta_net_sizes(keys: &Keys, family: &Family) -> Result<Option<DeltaNetConfig>> {
    if !family.delta_net {
        return Ok(None);
    }
    let (values, value_heads) = (
        keys.required("ssm.inner_size")?,
        keys.required("ssm.time_step_rank")?,
    );
    let (key_dim, key_heads) = (
        keys.required("ssm.state_size")?,
        keys.required("ssm.group_count")?,
    );
    if values % value_heads != 0 || value_heads % key_heads != 0 || key_dim % 4 != 0 {
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!(
                "delta nets of {value_heads} value heads over {values} values and {key_heads} key heads of {key_dim}: only even shares, and keys of multiples of 4, are run here"
            ),
        ));
    }
    Ok(Some(DeltaNetConfig {
        conv_kernel: keys.required("ssm.conv_kernel")?,
        key_heads,
        value_heads,
        key_dim,
        value_dim: values / value_heads,
        sharing: KeyHeads::Modulo,
    }))
}

fn head_dim(keys: &Keys, dim: u32, (heads, kv_heads): (u32, u32)) -> Result<u32> {
    let head_dim = keys.optional("attention.key_length")?;
    let head_dim = head_dim.unwrap_or(dim / heads);
    let value_size = keys.optional("attention.value_length")?;
    let value_size = value_size.unwrap_or(head_dim);
    if heads % kv_heads != 0 {
        return Err(Error::bad_file(format!(
            "{heads} query heads do not share {kv_heads} key heads evenly"
        )));
    }
    if head_dim % 4 != 0 || head_dim == 0 || head_dim > 1024 || value_size != head_dim {
        let sizes = format!("heads of {head_dim} keys and {value_size} values");
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!("{sizes}: only equal multiples of 4 up to 1024 are run here"),
        ));
    }
    Ok(head_dim)
}

fn experts(keys: &Keys) -> Result<Option<ExpertsConfig>> {
    let Some(n_experts) = keys.optional("expert_count")? else {
        return Ok(None);
    };
    let top_k = keys.required("expert_used_count")?;
    if top_k > n_experts || top_k >= MAX_TOP_K {
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!(
                "{top_k} of {n_experts} experts for a token: fewer than {MAX_TOP_K} are run here"
            ),
        ));
    }
    Ok(Some(ExpertsConfig { n_experts, top_k }))
}

/// The family's RoPE style, unless the file says otherwise.
fn rope_style(keys: &Keys, family: &Family, rope: &Rope) -> Result<RopeStyle> {
    let style = match keys.metadata().text("lantern.rope_style")? {
        None => family.rope_style,
        Some("neox") => RopeStyle::NeoX,
        Some("interleaved") => RopeStyle::Interleaved,
        Some(other) => {
            return Err(Error::bad_file(format!(
                "metadata lantern.rope_style is {}, neither interleaved nor neox",
                short(other)
            )));
        }
    };
    if style == RopeStyle::NeoX && !(rope.dimensions / 2).is_multiple_of(4) {
        let (rotated, prefix) = (rope.dimensions, keys.prefix);
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!(
                "RoPE over {rotated} values of a head: with pairs as {prefix} has them, only multiples of 8 are run here"
            ),
        ));
    }
    Ok(style)
}

fn local_rope(keys: &Keys, family: &Family, rope: &Rope) -> Result<Option<Rope>> {
    let Some(usual) = family.local_rope_base else {
        return Ok(None);
    };
    Ok(Some(Rope {
        base: keys.factor("rope.freq_base_swa")?.unwrap_or(usual),
        scaling: Scaling::None,
        ..rope.clone()
    }))
}

fn scales(
    keys: &Keys,
    family: &Family,
    (dim, heads, head_dim, layers): (u32, u32, u32, u32),
) -> Result<Scales> {
    let one = |key: &str| Ok::<f32, Error>(keys.factor(key)?.unwrap_or(1.0));
    let usual = if family.scaled_embedding {
        (dim as f32).sqrt()
    } else {
        1.0
    };
    let scaled = if layers == family.wide_scale_layers {
        dim / heads
    } else {
        head_dim
    };
    let attention = keys.factor("attention.scale")?;
    let (score_softcap, logit_softcap) = family.softcaps.unzip();
    let none = keys.metadata().texts("lantern.none")?.unwrap_or(&[]);
    let softcap = |key: &str, usual: Option<f32>| {
        let usual = usual.filter(|_| !none.iter().any(|name| name == key));
        Ok::<_, Error>(keys.factor(key)?.or(usual))
    };
    Ok(Scales {
        embedding: usual * one("embedding_scale")?,
        residual: one("residual_scale")?,
        attention: attention.unwrap_or(1.0 / (scaled.max(1) as f32).sqrt()),
        logits: 1.0 / one("logit_scale")?,
        score_softcap: softcap("attn_logit_softcapping", score_softcap)?,
        logit_softcap: softcap("final_logit_softcapping", logit_softcap)?,
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
