//! The second half of a block: a gated unit (Shazeer 2020), a plain MLP, or a mixture of experts (Shazeer et al. 2017), with
//! an expert that all rows share where there is one (DeepSeekMoE, Dai et al. 2024).

mod experts;
mod gated;

use experts::Mixture;
use gated::{Gated, Sizes};

use super::{
    config::MixerConfig,
    mixer::rwkv7::FFN_SHIFT,
    tensors::{Affine, Finder},
    token_shift::TokenShift,
};
use crate::{
    Error, Result,
    graph::{Activate, Activation, Graph, MatrixId, Tensor},
};

/// The part of a block that follows the mixer.
#[derive(Debug)]
pub enum Ffn {
    /// down(f(gate x) · up x).
    Gated(Gated),
    /// down(f(up x)).
    Plain {
        /// A shift of what it reads.
        shift: Option<TokenShift>,
        /// Up.
        up: Affine,
        /// Down.
        down: Affine,
        /// Sizes and activation.
        sizes: Sizes,
    },
    /// The gated units of those experts that a router picks, weighed and summed.
    Experts(Box<Mixture>),
}

impl Ffn {
    /// The weights of layer `index`.
    pub(super) fn find(finder: &mut Finder<'_>, index: u32) -> Result<Ffn> {
        let block = finder.config.blocks[index as usize];
        let own = block.ffn;
        let sizes = Sizes {
            dim: finder.config.dim,
            ffn_dim: own.ffn_dim,
            activation: own.activation,
        };
        if let Some(experts) = own.experts {
            let mixture = Mixture::find(finder, experts, sizes, index)?;
            return Ok(Ffn::Experts(Box::new(mixture)));
        }
        let name = |part: &str| format!("blk.{index}.{part}");
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
        if let MixerConfig::Rwkv7(_) = block.mixer {
            return Ffn::channel_mix(finder, sizes, index);
        }
        // SiLU's families have no MLP without a gate.
        if sizes.activation == Activation::Silu {
            let missing = weight("ffn_gate");
            return Err(Error::bad_file(format!("tensor {missing} is missing")));
        }
        sizes.check(false)?;
        Ok(Ffn::Plain {
            shift: None,
            up: finder.affine(&name("ffn_up"), dim, ffn_dim)?,
            down: finder.affine(&name("ffn_down"), ffn_dim, dim)?,
            sizes,
        })
    }

    /// RWKV's channel mixing: an MLP that reads a row on its way to the one before.
    fn channel_mix(finder: &mut Finder<'_>, sizes: Sizes, index: u32) -> Result<Ffn> {
        let name = |part: &str| format!("blk.{index}.channel_mix_{part}");
        let (dim, ffn_dim) = (sizes.dim, sizes.ffn_dim);
        let lerp = name("lerp_k.weight");
        Ok(Ffn::Plain {
            shift: Some(TokenShift::find(finder, &lerp, &[dim, 1, 1])?),
            up: finder.affine(&name("key"), dim, ffn_dim)?,
            down: finder.affine(&name("value"), ffn_dim, dim)?,
            sizes,
        })
    }

    /// Writes its ops from the input `h`, which is the residual stream `x` after its norm. Returns what is added to the
    /// stream, one after the other.
    pub(super) fn ops(&self, g: &mut Graph, (h, x): (Tensor, Tensor), layer: u32) -> Vec<Tensor> {
        match self {
            Ffn::Gated(gated) => {
                let up = gated.up_ops(g, h);
                vec![gated.down_ops(g, up)]
            }
            Ffn::Plain {
                shift,
                up,
                down,
                sizes,
            } => {
                let state = g.state_of(layer, FFN_SHIFT);
                let h = match shift.zip(state) {
                    Some((shift, state)) => shift.ops(g, h, state, ["xk"])[0],
                    None => h,
                };
                let x = up.ops(g, h, ("up", sizes.ffn_dim));
                let activation = sizes.activation;
                let x = g.map(x, Activate { x, activation });
                vec![down.ops(g, x, ("y", sizes.dim))]
            }
            Ffn::Experts(mixture) => mixture.ops(g, h, x),
        }
    }

    /// Whether `matrix` has gates and ups of experts that have biases.
    pub(crate) fn has_biased_units(&self, matrix: MatrixId) -> bool {
        match self {
            Ffn::Experts(mixture) => mixture.has_biased_units(matrix),
            Ffn::Gated(_) | Ffn::Plain { .. } => false,
        }
    }

    /// How many experts the rows of `matrix` are for, where it is theirs.
    pub(crate) fn experts_of(&self, matrix: MatrixId) -> Option<u32> {
        match self {
            Ffn::Experts(mixture) => mixture.experts_of(matrix),
            Ffn::Gated(_) | Ffn::Plain { .. } => None,
        }
    }
}
