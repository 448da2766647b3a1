//! The second half of a block: a gated unit (Shazeer 2020), a plain MLP, or a mixture of experts (Shazeer et al. 2017), with
//! an expert that all rows share where there is one (DeepSeekMoE, Dai et al. 2024).

mod experts;
mod gated;
mod plain;

use experts::Mixture;
use gated::{Gated, Sizes};
use plain::Plain;

use super::{
    config::{FfnConfig, MixerConfig},
    tensors::Finder,
};
use crate::{
    Error, Result,
    graph::{Graph, MatrixId, Tensor},
};

/// The part of a block that follows the mixer.
#[derive(Debug)]
pub enum Ffn {
    /// down(f(gate x) · up x).
    Gated(Gated),
    /// down(f(up x)).
    Plain(Plain),
    /// The gated units of those experts that a router picks, weighed and summed.
    Experts(Box<Mixture>),
}

impl Ffn {
    /// The weights of layer `index`; none where it has no MLP.
    pub(super) fn find(finder: &mut Finder<'_>, index: u32) -> Result<Option<Ffn>> {
        let block = finder.config.blocks[index as usize];
        let Some(own) = block.ffn else {
            return Ok(None);
        };
        if let Some(MixerConfig::Rwkv7(_)) = block.mixer {
            let mix = Plain::channel_mix(finder, own, index)?;
            return Ok(Some(Ffn::Plain(mix)));
        }
        Ffn::of(finder, own, index).map(Some)
    }

    fn of(finder: &mut Finder<'_>, own: FfnConfig, index: u32) -> Result<Ffn> {
        let sizes = Sizes {
            dim: finder.config.dim,
            ffn_dim: own.ffn_dim,
            activation: own.activation,
        };
        if let Some(experts) = own.experts {
            let mixture = Mixture::find(finder, experts, sizes, index)?;
            return Ok(Ffn::Experts(Box::new(mixture)));
        }
        let weight = |part: &str| format!("blk.{index}.{part}.weight");
        let (dim, ffn_dim) = (sizes.dim, sizes.ffn_dim);
        if finder.has(&weight("ffn_gate")) {
            return Gated::find(finder, sizes, index, "").map(Ffn::Gated);
        }
        // Gate and up in one tensor, the gate first.
        let up = finder.file.tensor(&weight("ffn_up"));
        if up.is_some_and(|t| t.shape == [u64::from(dim), u64::from(ffn_dim) * 2]) {
            return Gated::fused(finder, sizes, index).map(Ffn::Gated);
        }
        if sizes.gated() {
            let missing = weight("ffn_gate");
            return Err(Error::bad_file(format!("tensor {missing} is missing")));
        }
        Plain::find(finder, sizes, index, "").map(Ffn::Plain)
    }

    /// Writes its ops from the input `h`, which is the residual stream `x` after its norm. Returns what is added to the
    /// stream, one after the other.
    pub(super) fn ops(&self, g: &mut Graph, (h, x): (Tensor, Tensor), layer: u32) -> Vec<Tensor> {
        match self {
            Ffn::Gated(gated) => {
                let up = gated.up_ops(g, h);
                vec![gated.down_ops(g, up)]
            }
            Ffn::Plain(plain) => {
                let h = plain.shifted(g, h, layer);
                let up = plain.up_ops(g, h);
                vec![plain.down_ops(g, up)]
            }
            Ffn::Experts(mixture) => mixture.ops(g, h, x),
        }
    }

    /// Whether `matrix` has gates and ups of experts that have biases.
    pub(crate) fn has_biased_units(&self, matrix: MatrixId) -> bool {
        match self {
            Ffn::Experts(mixture) => mixture.has_biased_units(matrix),
            Ffn::Gated(_) | Ffn::Plain(_) => false,
        }
    }

    /// How many experts the rows of `matrix` are for, where it is theirs.
    pub(crate) fn experts_of(&self, matrix: MatrixId) -> Option<u32> {
        match self {
            Ffn::Experts(mixture) => mixture.experts_of(matrix),
            Ffn::Gated(_) | Ffn::Plain(_) => None,
        }
    }
}
