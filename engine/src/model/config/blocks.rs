//! Numbers of each block: of its mixer, and of the MLP or the experts after it.

use lantern_kernels::{experts::MAX_TOP_K, moe_route::GROUPS_MAX, wkv7::HEAD_DIM_MAX};
use serde::{Serialize, Serializer};

use super::{
    kinds::{layers_with_keys, mask, recurrent_layers, rotated_layers, shared_layer},
    latent::LatentSizes,
};
use crate::{
    Error, Result, Unsupported,
    file::short,
    graph::{Activation, Gating, KeyHeads, Mask, Routing, Xielu},
    model::{
        families::{ExpertWeights, Family, Recurrent, Temperatures},
        keys::Keys,
    },
};

/// Numbers of a block.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BlockConfig {
    /// The part that looks at other rows.
    pub mixer: MixerConfig,
    /// The part that follows it.
    pub ffn: FfnConfig,
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

/// Mixture of experts of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExpertsConfig {
    /// Experts of a layer.
    pub n_experts: u32,
    /// Experts that the router picks for a token.
    pub top_k: u32,
    /// How the router weighs them.
    pub routing: Routing,
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
        match &self.mixer {
            MixerConfig::Attention(attention) => Some(attention),
            MixerConfig::Latent(latent) => Some(&latent.attention),
            MixerConfig::DeltaNet(_) | MixerConfig::ShortConv(_) | MixerConfig::Rwkv7(_) => None,
        }
    }
}

/// Heads of attention as the header has them.
#[derive(Debug, Clone)]
pub(super) struct Heads {
    /// Query heads of each layer.
    queries: Vec<u32>,
    /// Key and value heads of each layer; 0 where a layer has another mixer.
    keys: Vec<u32>,
    /// Values of a head.
    pub head_dim: u32,
    /// Values of a head in layers with a window.
    pub local_head_dim: u32,
    /// Sizes of heads where attention is latent.
    latent: Option<LatentSizes>,
}

impl Heads {
    /// Heads of a model without attention.
    fn none(layers: u32) -> Heads {
        Heads {
            queries: vec![0; layers as usize],
            keys: vec![0; layers as usize],
            head_dim: 4,
            local_head_dim: 4,
            latent: None,
        }
    }

    /// Heads of a model whose layers have these windows, and whose residual stream has `dim` values.
    pub fn read(keys: &Keys, family: &Family, dim: u32, windows: &[Option<u32>]) -> Result<Heads> {
        let layers = windows.len() as u32;
        if family.recurrent == Recurrent::Rwkv7 {
            return Ok(Heads::none(layers));
        }
        let heads = keys.per_layer("attention.head_count", layers)?;
        let heads = match heads.filter(|heads| !heads.contains(&0)) {
            Some(heads) => heads,
            None => vec![keys.required("attention.head_count")?; windows.len()],
        };
        let kv_heads = keys.per_layer("attention.head_count_kv", layers)?;
        let kv_heads = kv_heads.unwrap_or_else(|| heads.clone());
        if family.recurrent == Recurrent::None && kv_heads.contains(&0) {
            return Err(Error::bad_file(format!(
                "metadata {} is 0 in a layer, which has no other mixer",
                keys.key("attention.head_count_kv")
            )));
        }
        let uneven = |&(heads, kv_heads): &(&u32, &u32)| *kv_heads > 0 && heads % kv_heads != 0;
        if let Some((heads, kv_heads)) = heads.iter().zip(&kv_heads).find(uneven) {
            return Err(Error::bad_file(format!(
                "{heads} query heads do not share {kv_heads} key heads evenly"
            )));
        }
        let latent = LatentSizes::read(keys, family)?;
        let head_dim = match &latent {
            Some(sizes) => sizes.cached_dim(),
            None => head_dim_of(keys, "", dim / heads[0])?,
        };
        if latent.is_some() {
            LatentSizes::check_heads(&heads)?;
        }
        let local_head_dim = if windows.iter().any(Option::is_some) {
            head_dim_of(keys, "_swa", head_dim)?
        } else {
            head_dim
        };
        Ok(Heads {
            queries: heads,
            keys: kv_heads,
            head_dim,
            local_head_dim,
            latent,
        })
    }

    /// Values of a query's head.
    pub fn query_dim(&self) -> u32 {
        self.latent.map_or(self.head_dim, |sizes| sizes.key_dim())
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

/// Values of a head under the keys with this ending.
fn head_dim_of(keys: &Keys, ending: &str, usual: u32) -> Result<u32> {
    let head_dim = keys.optional(&format!("attention.key_length{ending}"))?;
    let head_dim = head_dim.unwrap_or(usual);
    let value_dim = keys.optional(&format!("attention.value_length{ending}"))?;
    let value_dim = value_dim.unwrap_or(head_dim);
    if head_dim % 4 != 0 || head_dim == 0 || head_dim > 1024 || value_dim != head_dim {
        let sizes = format!("heads of {head_dim} keys and {value_dim} values");
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!("{sizes}: only equal multiples of 4 up to 1024 are run here"),
        ));
    }
    Ok(head_dim)
}

/// The numbers of all blocks. Rotary embeddings are the model's, that of layers with a window, of number `local`, and that of
/// queries, if there are as many as `ropes`.
pub(super) fn read(
    keys: &Keys,
    family: &Family,
    (heads, windows): (&Heads, &[Option<u32>]),
    (causal, dim): (bool, u32),
    (local_rope, ropes): (usize, usize),
) -> Result<Vec<BlockConfig>> {
    let layers = windows.len() as u32;
    let rotated = rotated_layers(keys, family, windows)?;
    let recurrent = recurrent_layers(keys, family, &heads.keys)?;
    let other = match family.recurrent {
        Recurrent::None => None,
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
    };
    let scale = match family.recurrent {
        Recurrent::Rwkv7 => None,
        _ => scale(keys, family, heads, dim)?,
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
        AttentionConfig {
            heads: heads.queries[layer],
            kv_heads: heads.keys[layer],
            head_dim,
            scale: scale.unwrap_or(1.0 / (head_dim as f32).sqrt()),
            mask: mask(family, causal, windows[layer]),
            rope: rotated[layer].then_some(if local { local_rope } else { 0 }),
            query_rope: query_rope(family, rotated[layer], (local_rope, ropes)),
            shares: (layer >= own)
                .then(|| shared_layer(&windows[..own], local))
                .flatten(),
        }
    };
    let block = |(layer, ffn)| BlockConfig {
        mixer: other
            .filter(|_| recurrent[layer])
            .unwrap_or_else(|| match heads.latent {
                None => MixerConfig::Attention(attention(layer)),
                Some(sizes) => MixerConfig::Latent(LatentConfig {
                    attention: AttentionConfig {
                        kv_heads: 1,
                        ..attention(layer)
                    },
                    sizes,
                }),
            }),
        ffn,
    };
    Ok(ffns.into_iter().enumerate().map(block).collect())
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
    if head_dim % 4 != 0 || head_dim > HEAD_DIM_MAX || dim % head_dim != 0 {
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

/// Numbers of each block's MLP: experts where it has a router.
fn ffns(keys: &Keys, family: &Family, layers: u32) -> Result<Vec<FfnConfig>> {
    let experts = experts(keys, family)?;
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
        let name = format!("blk.{layer}.ffn_gate_inp.weight");
        let experts = experts.filter(|_| keys.file.tensor(&name).is_some());
        let own = expert_dim.filter(|_| experts.is_some());
        Ok(FfnConfig {
            ffn_dim: own.map_or_else(|| dense(layer), Ok)?,
            activation: activation(keys, family, layer)?,
            experts,
        })
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
        return Ok(family.activation);
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

fn experts(keys: &Keys, family: &Family) -> Result<Option<ExpertsConfig>> {
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
    let normed = match family.expert_weights {
        ExpertWeights::Normed => keys.boolean("expert_weights_norm")?.unwrap_or(true),
        ExpertWeights::Plain => keys.boolean("expert_weights_norm")?.unwrap_or(false),
        ExpertWeights::OnInput => false,
    };
    Ok(Some(ExpertsConfig {
        n_experts,
        top_k,
        routing: Routing {
            gating: gating(keys, family)?,
            normed,
            scale: keys.factor("expert_weights_scale")?.unwrap_or(1.0),
            ..groups(keys, (n_experts, top_k))?
        },
    }))
}

/// How the router's logits become probabilities: as the file numbers it, or as the family has it.
fn gating(keys: &Keys, family: &Family) -> Result<Gating> {
    match keys.optional("expert_gating_func")? {
        None => Ok(family.gating),
        Some(1) => Ok(Gating::Softmax),
        Some(2) => Ok(Gating::Sigmoid),
        Some(other) => Err(Error::unsupported(
            Unsupported::Setting,
            format!(
                "metadata {} is {other}; known are 1 (softmax) and 2 (sigmoid)",
                keys.key("expert_gating_func")
            ),
        )),
    }
}

/// Routing by groups of experts, or without.
fn groups(keys: &Keys, (n_experts, top_k): (u32, u32)) -> Result<Routing> {
    let groups = keys.optional("expert_group_count")?.unwrap_or(1);
    let used = keys.optional("expert_group_used_count")?;
    let groups_used = used.unwrap_or(groups);
    let in_groups = |groups_used: u32| n_experts / groups * groups_used;
    if groups > GROUPS_MAX
        || n_experts % groups != 0
        || groups_used > groups
        || in_groups(groups_used) < top_k
    {
        return Err(Error::unsupported(
            Unsupported::Shape,
            format!(
                "{top_k} of {n_experts} experts from {groups_used} of {groups} groups: at most {GROUPS_MAX} even groups are run here"
            ),
        ));
    }
    Ok(Routing {
        gating: Gating::Softmax,
        normed: true,
        scale: 1.0,
        groups,
        groups_used,
    })
}

/// Factor on attention's scores, where it is not the root of a head's size.
fn scale(keys: &Keys, family: &Family, heads: &Heads, dim: u32) -> Result<Option<f32>> {
    let wide = heads.queries.len() as u32 == family.wide_scale_layers;
    let wide = wide.then(|| 1.0 / ((dim / heads.queries[0]).max(1) as f32).sqrt());
    let stated = keys.factor("attention.scale")?;
    if let Some(sizes) = heads.latent {
        return Ok(Some(stated.map_or_else(|| sizes.scale(keys), Ok)?));
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
