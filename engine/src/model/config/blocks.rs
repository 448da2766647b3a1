//! Numbers of each block: of its mixer, and of the MLP or the experts after it.

use lantern_kernels::wkv7::HEAD_DIM_MAX;
use serde::{Serialize, Serializer};

use super::{
    experts::{self, ExpertsConfig},
    heads::Heads,
    kinds::{attending_layers, layers_with_keys, mask, recurrent_layers, shared_layer},
    latent::LatentSizes,
    mamba::{self, MambaConfig},
};
use crate::{
    Error, Result, Unsupported,
    file::short,
    graph::{Activation, KeyHeads, Mask, Xielu},
    model::{
        families::{Family, Recurrent, Temperatures},
        keys::Keys,
        stated,
    },
};

/// Numbers of a block.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BlockConfig {
    /// The part that looks at other rows, where it has one.
    pub mixer: Option<MixerConfig>,
    /// The part that follows it, where it has one.
    pub ffn: Option<FfnConfig>,
}

/// Numbers of a mixer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MixerConfig {
    /// Attention over the cells of a cache.
    Attention(AttentionConfig),
    /// Attention over latent keys.
    Latent(LatentConfig),
    /// A gated delta net over a recurrent state.
    DeltaNet(DeltaNetConfig),
    /// A convolution between two gates.
    ShortConv(ShortConvConfig),
    /// RWKV-7's time mixing over a recurrent state.
    Rwkv7(Rwkv7Config),
    /// A selective state space over a recurrent state.
    Mamba(MambaConfig),
    /// Attention and a selective state space, which read the same.
    Both(AttentionConfig, MambaConfig),
}

/// Numbers of attention in one block.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AttentionConfig {
    /// Query heads.
    pub heads: u32,
    /// Key and value heads.
    pub kv_heads: u32,
    /// Values of a head, of its queries and keys alike.
    pub head_dim: u32,
    /// Factor on scores.
    pub scale: f32,
    /// Positions that it attends to.
    pub mask: Mask,
    /// The rotary embedding of its queries and keys, by its number in [`Config::ropes`](super::Config::ropes).
    pub rope: Option<usize>,
    /// The rotary embedding of its queries, where it is another.
    pub query_rope: Option<usize>,
    /// The layer whose keys and values it reads, where it has none of its own.
    pub shares: Option<u32>,
}

/// Numbers of attention over latent keys in one block.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LatentConfig {
    /// Attention as it is computed: over one head of latent keys.
    pub attention: AttentionConfig,
    /// Sizes of heads.
    pub sizes: LatentSizes,
}

/// Numbers of a block's MLP.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FfnConfig {
    /// Size of its hidden layer, or of that of one expert where there are experts.
    pub ffn_dim: u32,
    /// The function of its gate, or of its hidden layer where it has no gate.
    pub activation: Activation,
    /// Mixture of experts in the place of one MLP.
    pub experts: Option<ExpertsConfig>,
}

/// Sizes of a gated delta net.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
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
    /// Whether each key of a head decays by its own.
    pub by_channel: bool,
}

/// Sizes of a short convolution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ShortConvConfig {
    /// Rows that the convolution makes a result of.
    pub conv_kernel: u32,
    /// Channels, as many as the residual stream has values.
    pub dim: u32,
}

/// Sizes of RWKV-7's time mixing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rwkv7Config {
    /// Values of a row, as many as the residual stream has.
    pub dim: u32,
    /// Values of a head.
    pub head_dim: u32,
    /// Ranks of what decays, rates, values and gates are made by.
    pub ranks: [u32; 4],
}

impl AttentionConfig {
    /// Positions up to its own that a row attends to at most; none: all.
    pub fn window(&self) -> Option<u32> {
        match self.mask {
            Mask::Window(window) | Mask::Chunked(window) => Some(window),
            Mask::Causal | Mask::Symmetric(_) | Mask::None => None,
        }
    }
}

impl BlockConfig {
    /// Numbers of its attention, where it has that.
    pub fn attention(&self) -> Option<&AttentionConfig> {
        match self.mixer.as_ref()? {
            MixerConfig::Attention(attention) | MixerConfig::Both(attention, _) => Some(attention),
            MixerConfig::Latent(latent) => Some(&latent.attention),
            MixerConfig::DeltaNet(_)
            | MixerConfig::ShortConv(_)
            | MixerConfig::Rwkv7(_)
            | MixerConfig::Mamba(_) => None,
        }
    }
}

/// The rotary embedding of a layer's queries, the last of all, where they grow with the position.
fn query_rope(family: &Family, rotated: bool, (local, ropes): (usize, usize)) -> Option<usize> {
    let grows = match family.temperature {
        Temperatures::None => false,
        Temperatures::All | Temperatures::Stated => true,
        Temperatures::Unrotated(_) => !rotated,
    };
    (grows && ropes > local + 1).then(|| ropes - 1)
}

/// Rotary embeddings of a model, as its layers name them.
#[derive(Debug, Clone)]
pub(super) struct Rotation {
    /// Layers whose queries and keys are rotated.
    pub layers: Vec<bool>,
    /// The number of the embedding of layers with a window.
    pub local: usize,
    /// How many embeddings there are; that of queries is the last, if it is another.
    pub count: usize,
}

/// The numbers of all blocks.
pub(super) fn read(
    keys: &Keys,
    family: &Family,
    (heads, windows): (&Heads, &[Option<u32>]),
    (causal, dim): (bool, u32),
    rotation: &Rotation,
) -> Result<Vec<BlockConfig>> {
    let layers = windows.len() as u32;
    let recurrent = recurrent_layers(keys, family, &heads.keys)?;
    let other = recurrent_mixer(keys, family, heads, dim)?;
    let attending = attending_layers(keys, family, layers);
    let scale = if attending.contains(&true) {
        scale(keys, family, heads, dim)?
    } else {
        None
    };
    let ffns = ffns(keys, family, layers)?;
    let own = layers_with_keys(keys, family, layers)? as usize;
    let attention = |layer: usize| {
        let local = windows[layer].is_some();
        let head_dim = if local {
            heads.local_head_dim
        } else {
            heads.head_dim
        };
        let rotated = rotation.layers[layer];
        AttentionConfig {
            heads: heads.queries[layer],
            kv_heads: heads.keys[layer],
            head_dim,
            scale: scale.unwrap_or(1.0 / (head_dim as f32).sqrt()),
            mask: mask(family, causal, windows[layer]),
            rope: rotated.then_some(if local { rotation.local } else { 0 }),
            query_rope: query_rope(family, rotated, (rotation.local, rotation.count)),
            shares: (layer >= own)
                .then(|| shared_layer(&windows[..own], local))
                .flatten(),
        }
    };
    let block = |(layer, ffn): (usize, Option<FfnConfig>)| {
        let attends = attending[layer] && (other.is_none() || !recurrent[layer]);
        let attention = attends.then(|| attention(layer));
        if let (Some(attention), Some(sizes)) = (attention, heads.latent) {
            let attention = AttentionConfig {
                kv_heads: 1,
                ..attention
            };
            let mixer = Some(MixerConfig::Latent(LatentConfig { attention, sizes }));
            return Ok(BlockConfig { mixer, ffn });
        }
        let mamba = match family.recurrent {
            Recurrent::Mamba => mamba::read(keys, layer as u32)?,
            _ => None,
        };
        let mixer = match (attention, mamba) {
            (Some(attention), Some(mamba)) => Some(MixerConfig::Both(attention, mamba)),
            (Some(attention), None) => Some(MixerConfig::Attention(attention)),
            (None, Some(mamba)) => Some(MixerConfig::Mamba(mamba)),
            (None, None) => other,
        };
        if mixer.is_none() && ffn.is_none() {
            return Err(Error::bad_file(format!(
                "the tensors of blk.{layer} are neither a mixer's nor an MLP's"
            )));
        }
        Ok(BlockConfig { mixer, ffn })
    };
    ffns.into_iter().enumerate().map(block).collect()
}

/// The mixer that layers have in the place of attention, where all of those have the same.
fn recurrent_mixer(
    keys: &Keys,
    family: &Family,
    heads: &Heads,
    dim: u32,
) -> Result<Option<MixerConfig>> {
    Ok(match family.recurrent {
        Recurrent::None | Recurrent::Mamba => None,
        Recurrent::DeltaNet => Some(MixerConfig::DeltaNet(delta_net_sizes(keys, family)?)),
        Recurrent::ChannelDeltaNet => Some(MixerConfig::DeltaNet(channel_delta_net_sizes(
            keys,
            heads.queries[0],
        )?)),
        Recurrent::ShortConv => Some(MixerConfig::ShortConv(ShortConvConfig {
            conv_kernel: keys.required("shortconv.l_cache")?,
            dim,
        })),
        Recurrent::Rwkv7 => Some(MixerConfig::Rwkv7(rwkv7_sizes(keys, dim)?)),
    })
}

/// Sizes of a family's gated delta nets.
fn delta_net_sizes(keys: &Keys, family: &Family) -> Result<DeltaNetConfig> {
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
    Ok(DeltaNetConfig {
        conv_kernel: keys.required("ssm.conv_kernel")?,
        key_heads,
        value_heads,
        key_dim,
        value_dim: values / value_heads,
        sharing: match keys.metadata().text("lantern.key_heads")? {
            Some("grouped") => KeyHeads::Grouped,
            _ => family.key_heads,
        },
        by_channel: false,
    })
}

/// Sizes of delta nets whose keys decay each by its own: as many heads as attention has, all of one size.
fn channel_delta_net_sizes(keys: &Keys, heads: u32) -> Result<DeltaNetConfig> {
    let head_dim = keys.required("kda.head_dim")?;
    if head_dim % 4 != 0 || head_dim > 1024 {
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!(
                "delta nets with heads of {head_dim}: only multiples of 4 up to 1024 are run here"
            ),
        ));
    }
    Ok(DeltaNetConfig {
        conv_kernel: keys.required("ssm.conv_kernel")?,
        key_heads: heads,
        value_heads: heads,
        key_dim: head_dim,
        value_dim: head_dim,
        sharing: KeyHeads::Grouped,
        by_channel: true,
    })
}

/// Sizes of RWKV-7's time mixing in a residual stream of `dim` values.
fn rwkv7_sizes(keys: &Keys, dim: u32) -> Result<Rwkv7Config> {
    let head_dim = keys.required("wkv.head_size")?;
    if head_dim % 4 != 0 || head_dim > HEAD_DIM_MAX || !dim.is_multiple_of(head_dim) {
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!(
                "heads of {head_dim} of {dim} values: only multiples of 4 up to {HEAD_DIM_MAX} that divide them are run here"
            ),
        ));
    }
    Ok(Rwkv7Config {
        dim,
        head_dim,
        ranks: [
            keys.required("attention.decay_lora_rank")?,
            keys.required("attention.iclr_lora_rank")?,
            keys.required("attention.value_residual_mix_lora_rank")?,
            keys.required("attention.gate_lora_rank")?,
        ],
    })
}

/// Numbers of each block's MLP: experts where it has a router, and none where it has neither that nor an up.
fn ffns(keys: &Keys, family: &Family, layers: u32) -> Result<Vec<Option<FfnConfig>>> {
    let experts = experts::read(keys, family)?;
    let expert_dim = experts.map(|_| keys.optional("expert_feed_forward_length"));
    let expert_dim = expert_dim.transpose()?.flatten();
    let dense = |layer: u32| {
        let dims = keys.per_layer("feed_forward_length", layers)?;
        let dim = dims.map(|dims| dims[layer as usize]).filter(|&dim| dim > 0);
        dim.ok_or_else(|| {
            let key = keys.key("feed_forward_length");
            Error::bad_file(format!("metadata {key} is missing or 0"))
        })
    };
    let ffn = |layer: u32| {
        let has = |part: &str| {
            let name = format!("blk.{layer}.{part}.weight");
            keys.file.tensor(&name).is_some()
        };
        let optional = family.recurrent == Recurrent::Mamba;
        if optional && !has("ffn_gate_inp") && !has("ffn_up") {
            return Ok(None);
        }
        let experts = experts.filter(|_| has("ffn_gate_inp"));
        let own = expert_dim.filter(|_| experts.is_some());
        Ok(Some(FfnConfig {
            ffn_dim: own.map_or_else(|| dense(layer), Ok)?,
            activation: activation(keys, family, layer)?,
            experts,
        }))
    };
    (0..layers).map(ffn).collect()
}

/// The activation that the file states, or the family's, with the numbers that the file has for a layer.
fn activation(keys: &Keys, family: &Family, layer: u32) -> Result<Activation> {
    let key = keys.key("hidden_activation");
    if let Some(stated) = keys.metadata().text(&key)?.filter(|text| !text.is_empty()) {
        let known = KNOWN_ACTIVATIONS.iter().find(|(name, _)| *name == stated);
        return known.map(|(_, activation)| *activation).ok_or_else(|| {
            let names: Vec<_> = KNOWN_ACTIVATIONS.iter().map(|(name, _)| *name).collect();
            let (stated, known) = (short(stated), names.join(", "));
            let message = format!("metadata {key} is {stated}; known are {known}");
            Error::unsupported(Unsupported::Setting, message)
        });
    }
    let Activation::Xielu(_) = family.activation else {
        let stated = stated::of_encoder(keys.metadata(), family)?;
        return Ok(stated.unwrap_or(family.activation));
    };
    let number = |name: &str| {
        let key = format!("xielu.{name}");
        let all = keys.metadata().floats(&key)?.unwrap_or_default();
        let found = all.get(layer as usize).filter(|v| v.is_finite());
        let missing = || Error::bad_file(format!("metadata {key} has no number for layer {layer}"));
        found.copied().ok_or_else(missing)
    };
    let softplus = |v: f64| v.max(0.0) + (-v.abs()).exp().ln_1p();
    let beta = number("beta")?;
    Ok(Activation::Xielu(Xielu {
        alpha_p: softplus(number("alpha_p")?) as f32,
        alpha_n: (beta + softplus(number("alpha_n")?)) as f32,
        beta: beta as f32,
        eps: number("eps")? as f32,
    }))
}

/// Activations by the names that GGUF files have for them.
const KNOWN_ACTIVATIONS: &[(&str, Activation)] = &[
    ("silu", Activation::Silu),
    ("swiglu", Activation::Silu),
    ("gelu", Activation::Gelu),
    ("geglu", Activation::Gelu),
];

/// Factor on attention's scores, where it is not the root of a head's size.
fn scale(keys: &Keys, family: &Family, heads: &Heads, dim: u32) -> Result<Option<f32>> {
    if !heads.any() {
        return Ok(None);
    }
    let wide = heads.queries.len() as u32 == family.wide_scale_layers;
    let wide = wide.then(|| 1.0 / ((dim / heads.queries[0]).max(1) as f32).sqrt());
    let stated = keys.factor("attention.scale")?;
    if let Some(sizes) = heads.latent {
        return Ok(Some(stated.map_or_else(|| sizes.scale(keys, family), Ok)?));
    }
    Ok(stated.or(family.attention_scale).or(wide))
}

/// All blocks, those of the same numbers together.
pub(super) fn by_numbers<S: Serializer>(
    blocks: &[BlockConfig],
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Alike<'b> {
        layers: Vec<usize>,
        #[serde(flatten)]
        block: &'b BlockConfig,
    }
    let mut all: Vec<Alike> = Vec::new();
    for (layer, block) in blocks.iter().enumerate() {
        match all.iter_mut().find(|alike| alike.block == block) {
            Some(alike) => alike.layers.push(layer),
            None => all.push(Alike {
                layers: vec![layer],
                block,
            }),
        }
    }
    all.serialize(serializer)
}
