//! Mixers: the part of a block that looks at other rows. A file each, with its weights, its ops and the state that it keeps.

pub mod attention;
pub mod both;
pub mod delta_net;
pub mod latent;
pub mod mamba;
mod projection;
pub mod rwkv7;
pub mod short_conv;

use std::ops::Range;

use super::{
    config::{BlockConfig, Config, MixerConfig},
    options::CacheType,
    tensors::Finder,
};
use crate::{
    Result,
    graph::{Graph, MatrixId, StateSpec, Tensor},
};

/// The mixer of a block.
#[derive(Debug)]
pub enum Mixer {
    /// Attention over the cells of a cache.
    Attention(attention::Attention),
    /// Attention over latent keys.
    Latent(Box<latent::Latent>),
    /// A gated delta net over a state that every row replaces.
    DeltaNet(delta_net::DeltaNet),
    /// A convolution between two gates.
    ShortConv(short_conv::ShortConv),
    /// RWKV-7's time mixing, over a state that every row replaces.
    Rwkv7(Box<rwkv7::Rwkv7>),
    /// A selective state space over a state that every row replaces.
    Mamba(mamba::Mamba),
    /// Attention, and a selective state space that reads the same.
    Both(Box<both::Both>),
}

/// Sizes that a graph is written for: positions of a session, how they are kept, and rows of a pass.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Positions of a sequence.
    pub context: u32,
    /// How keys and values are kept.
    pub cache: CacheType,
    /// Rows of the largest pass.
    pub prefill_batch: u32,
}

impl Mixer {
    /// The mixer of layer `index`, from the file's tensors; none where it has none.
    pub(super) fn find(finder: &mut Finder<'_>, index: u32) -> Result<Option<Mixer>> {
        let Some(mixer) = finder.config.blocks[index as usize].mixer else {
            return Ok(None);
        };
        Ok(Some(match mixer {
            MixerConfig::DeltaNet(sizes) => {
                Mixer::DeltaNet(delta_net::DeltaNet::find(finder, sizes, index)?)
            }
            MixerConfig::ShortConv(sizes) => {
                Mixer::ShortConv(short_conv::ShortConv::find(finder, sizes, index)?)
            }
            MixerConfig::Latent(config) => {
                Mixer::Latent(Box::new(latent::Latent::find(finder, config, index)?))
            }
            MixerConfig::Rwkv7(sizes) => {
                Mixer::Rwkv7(Box::new(rwkv7::Rwkv7::find(finder, sizes, index)?))
            }
            MixerConfig::Attention(sizes) => {
                Mixer::Attention(attention::Attention::find(finder, sizes, index)?)
            }
            MixerConfig::Mamba(sizes) => Mixer::Mamba(mamba::Mamba::find(finder, sizes, index)?),
            MixerConfig::Both(attention, mamba) => Mixer::Both(Box::new(both::Both::find(
                finder,
                (attention, mamba),
                index,
            )?)),
        }))
    }

    /// Writes its ops from the input `h`. Returns what is added to the residual stream, one after the other.
    pub fn ops(&self, g: &mut Graph, h: Tensor, layer: u32, shape: &Shape) -> Vec<Tensor> {
        match self {
            Mixer::Attention(attention) => vec![attention.ops(g, h, layer, shape)],
            Mixer::DeltaNet(delta_net) => vec![delta_net.ops(g, h, layer)],
            Mixer::ShortConv(short_conv) => vec![short_conv.ops(g, h, layer)],
            Mixer::Latent(latent) => vec![latent.ops(g, h, layer, shape)],
            Mixer::Rwkv7(rwkv7) => vec![rwkv7.ops(g, h, layer)],
            Mixer::Mamba(mamba) => vec![mamba.ops(g, h, layer)],
            Mixer::Both(both) => both.ops(g, h, layer, shape),
        }
    }

    /// Whether `matrix` has a matrix for each head.
    pub(super) fn has_heads(&self, matrix: MatrixId) -> bool {
        matches!(self, Mixer::Latent(latent) if latent.has_heads(matrix))
    }
}

impl Config {
    /// Bytes of what all layers keep of a sequence: keys and values of `context` positions, in passes of up to
    /// `prefill_batch` tokens, and recurrent states.
    pub fn cache_bytes(&self, cache: CacheType, context: usize, prefill_batch: usize) -> u64 {
        let shape = Shape {
            context: context as u32,
            cache,
            prefill_batch: prefill_batch as u32,
        };
        let states = states(self, 0..self.layers, &shape);
        states.iter().map(|state| state.bytes(1)).sum()
    }

    /// Bytes of recurrent states that all layers keep of a sequence, whatever its length.
    pub fn state_bytes(&self) -> u64 {
        let shape = Shape {
            context: 1,
            cache: CacheType::F32,
            prefill_batch: 1,
        };
        let states = states(self, 0..self.layers, &shape).into_iter();
        let recurrent = states.filter(StateSpec::is_recurrent);
        recurrent.map(|state| state.bytes(1)).sum()
    }
}

/// States that the mixers of these layers keep of a sequence, in the order of a graph of them.
pub fn states(config: &Config, layers: Range<u32>, shape: &Shape) -> Vec<StateSpec> {
    let of_layer = |(layer, block): (u32, &BlockConfig)| match block.mixer {
        None => vec![],
        Some(MixerConfig::DeltaNet(sizes)) => sizes.states(layer).to_vec(),
        Some(MixerConfig::ShortConv(sizes)) => sizes.states(layer).to_vec(),
        Some(MixerConfig::Latent(config)) => vec![config.state(layer, shape)],
        Some(MixerConfig::Rwkv7(sizes)) => sizes.states(layer).to_vec(),
        Some(MixerConfig::Mamba(sizes)) => sizes.states(layer).to_vec(),
        Some(MixerConfig::Attention(sizes)) if sizes.shares.is_some() => vec![],
        Some(MixerConfig::Attention(sizes)) => sizes.states(layer, shape).to_vec(),
        Some(MixerConfig::Both(attention, mamba)) => {
            [attention.states(layer, shape), mamba.states(layer)].concat()
        }
    };
    let blocks = layers.map(|layer| (layer, &config.blocks[layer as usize]));
    blocks.flat_map(of_layer).collect()
}
