//! Numbers of each block: of its mixer, and of the MLP or the experts after it.

use lantern_kernels::experts::MAX_TOP_K;
use serde::{Serialize, Serializer};

use super::{
    super::{families::Family, keys::Keys, rope::Rope},
    flags,
};
use crate::{Error, Result, Unsupported, file::Value, graph::KeyHeads};

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
    /// A gated delta net over a recurrent state.
    DeltaNet(DeltaNetConfig),
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
    /// Positions that it attends to; none: all.
    pub window: Option<u32>,
    /// The rotary embedding of its queries and keys, by its number in [`Config::ropes`](super::Config::ropes).
    pub rope: Option<usize>,
}

/// Numbers of a block's MLP.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FfnConfig {
    /// Size of its hidden layer, or of that of one expert where there are experts.
    pub ffn_dim: u32,
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
}

impl BlockConfig {
    /// Numbers of its attention, where it has that.
    pub fn attention(&self) -> Option<&AttentionConfig> {
        match &self.mixer {
            MixerConfig::Attention(attention) => Some(attention),
            MixerConfig::DeltaNet(_) => None,
        }
    }
}

/// Heads of attention as the header has them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    pub heads: u32,
    pub kv_heads: u32,
    pub head_dim: u32,
}

impl Heads {
    /// Heads of a model whose residual stream has `dim` values.
    pub fn read(keys: &Keys, dim: u32) -> Result<Heads> {
        let heads = keys.required("attention.head_count")?;
        let kv_heads = keys.optional("attention.head_count_kv")?.unwrap_or(heads);
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
        Ok(Heads {
            heads,
            kv_heads,
            head_dim,
        })
    }
}

/// The numbers of `layers` blocks, whose rotary embeddings are `ropes`: the model's, and that of layers with a window where it
/// is another.
pub(super) fn read(
    keys: &Keys,
    family: &Family,
    heads: Heads,
    (dim, layers): (u32, u32),
    ropes: &[Rope],
) -> Result<Vec<BlockConfig>> {
    let windowed = windowed_layers(keys, family, layers)?;
    let window = if windowed.contains(&true) {
        keys.optional("attention.sliding_window")?.or(family.window)
    } else {
        None
    };
    let rotated = rotated_layers(keys, family, layers)?;
    let recurrent = recurrent_layers(keys, family, layers)?;
    let delta_net = delta_net_sizes(keys, family)?;
    let learned_positions = keys.file.tensor("position_embd.weight").is_some();
    let scale = scale(keys, family, heads, (dim, layers))?;
    let ffn = ffn(keys)?;
    let attention = |layer: usize| {
        let window = window.filter(|_| windowed[layer]);
        let rotates = !learned_positions && rotated[layer];
        AttentionConfig {
            heads: heads.heads,
            kv_heads: heads.kv_heads,
            head_dim: heads.head_dim,
            scale,
            window,
            rope: rotates.then_some(usize::from(ropes.len() > 1 && window.is_some())),
        }
    };
    let block = |layer: usize| BlockConfig {
        mixer: match delta_net {
            Some(sizes) if recurrent[layer] => MixerConfig::DeltaNet(sizes),
            _ => MixerConfig::Attention(attention(layer)),
        },
        ffn,
    };
    Ok((0..layers as usize).map(block).collect())
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

/// Numbers of a block's MLP.
fn ffn(keys: &Keys) -> Result<FfnConfig> {
    let experts = experts(keys)?;
    let expert_dim = || keys.optional("expert_feed_forward_length");
    let ffn_dim = match experts.map(|_| expert_dim()).transpose()?.flatten() {
        Some(own) => own,
        None => keys.required("feed_forward_length")?,
    };
    Ok(FfnConfig { ffn_dim, experts })
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

/// Factor on attention's scores.
fn scale(keys: &Keys, family: &Family, heads: Heads, (dim, layers): (u32, u32)) -> Result<f32> {
    let scaled = if layers == family.wide_scale_layers {
        dim / heads.heads
    } else {
        heads.head_dim
    };
    let stated = keys.factor("attention.scale")?;
    Ok(stated.unwrap_or(1.0 / (scaled.max(1) as f32).sqrt()))
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
