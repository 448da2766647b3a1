//! An MLP without a gate, and either kind as an expert that all rows share.

use super::gated::{Gated, Sizes};
use crate::{
    Result,
    graph::{Activate, Graph, Tensor},
    model::{
        config::FfnConfig,
        tensors::{Affine, Finder},
        token_shift::{FFN_SHIFT, TokenShift},
    },
};

/// An MLP without a gate.
#[derive(Debug)]
pub struct Plain {
    /// A shift of what it reads.
    shift: Option<TokenShift>,
    up: Affine,
    down: Affine,
    sizes: Sizes,
}

/// An MLP with a gate, or without.
#[derive(Debug)]
pub(super) enum Unit {
    Gated(Gated),
    Plain(Plain),
}

impl Plain {
    /// The weights of layer `index` whose names have this ending.
    pub(super) fn find(
        finder: &mut Finder<'_>,
        sizes: Sizes,
        index: u32,
        ending: &str,
    ) -> Result<Plain> {
        let name = |part: &str| format!("blk.{index}.ffn_{part}{ending}");
        let (dim, ffn_dim) = (sizes.dim, sizes.ffn_dim);
        sizes.check(false)?;
        Ok(Plain {
            shift: None,
            up: finder.affine(&name("up"), dim, ffn_dim)?,
            down: finder.affine(&name("down"), ffn_dim, dim)?,
            sizes,
        })
    }

    /// RWKV's channel mixing: an MLP that reads a row on its way to the one before.
    pub(super) fn channel_mix(
        finder: &mut Finder<'_>,
        own: FfnConfig,
        index: u32,
    ) -> Result<Plain> {
        let name = |part: &str| format!("blk.{index}.channel_mix_{part}");
        let (dim, ffn_dim) = (finder.config.dim, own.ffn_dim);
        let lerp = name("lerp_k.weight");
        Ok(Plain {
            shift: Some(TokenShift::find(finder, &lerp, &[dim, 1, 1])?),
            up: finder.affine(&name("key"), dim, ffn_dim)?,
            down: finder.affine(&name("value"), ffn_dim, dim)?,
            sizes: Sizes {
                dim,
                ffn_dim,
                activation: own.activation,
            },
        })
    }

    /// The input `h` of layer `layer` as it is read.
    pub(super) fn shifted(&self, g: &mut Graph, h: Tensor, layer: u32) -> Tensor {
        let state = g.state_of(layer, FFN_SHIFT);
        match self.shift.as_ref().zip(state) {
            Some((shift, state)) => {
                let [shifted] = shift.ops(g, h, state, "xk");
                shifted.tensor
            }
            None => h,
        }
    }

    /// f(up h).
    pub(super) fn up_ops(&self, g: &mut Graph, h: Tensor) -> Tensor {
        let x = self.up.ops(g, h, ("up", self.sizes.ffn_dim));
        let activation = self.sizes.activation;
        g.map(x, Activate { x, activation })
    }

    /// down x.
    pub(super) fn down_ops(&self, g: &mut Graph, x: Tensor) -> Tensor {
        self.down.ops(g, x, ("y", self.sizes.dim))
    }
}

impl Unit {
    /// The weights of layer `index` whose names have this ending: with a gate where the file has one.
    pub(super) fn find(
        finder: &mut Finder<'_>,
        sizes: Sizes,
        index: u32,
        ending: &str,
    ) -> Result<Unit> {
        let gated = finder.has(&format!("blk.{index}.ffn_gate{ending}.weight"));
        Ok(if gated || sizes.gated() {
            Unit::Gated(Gated::find(finder, sizes, index, ending)?)
        } else {
            Unit::Plain(Plain::find(finder, sizes, index, ending)?)
        })
    }

    /// Its hidden layer.
    pub(super) fn up_ops(&self, g: &mut Graph, h: Tensor) -> Tensor {
        match self {
            Unit::Gated(gated) => gated.up_ops(g, h),
            Unit::Plain(plain) => plain.up_ops(g, h),
        }
    }

    /// down x.
    pub(super) fn down_ops(&self, g: &mut Graph, x: Tensor) -> Tensor {
        match self {
            Unit::Gated(gated) => gated.down_ops(g, x),
            Unit::Plain(plain) => plain.down_ops(g, x),
        }
    }
}
