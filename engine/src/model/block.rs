//! A block: x += mixer(norm(x)); x += ffn(norm(x)), with the norms that its family has before and after each.

use super::{
    ffn::Ffn,
    mixer::{Mixer, Shape},
    tensors::{Finder, NormWeights},
};
use crate::{
    Error, Result, Unsupported,
    graph::{Graph, Norm, NormKind, Tensor, VectorId},
    model::config::Config,
};

/// One block.
#[derive(Debug)]
pub struct Layer {
    /// Norm before the mixer.
    pub attn_norm: Option<NormWeights>,
    /// The part that looks at other rows.
    pub mixer: Mixer,
    /// Norm of what the mixer adds.
    pub attn_post_norm: Option<VectorId>,
    /// Norm before the MLP.
    pub ffn_norm: Option<NormWeights>,
    /// The MLP.
    pub ffn: Ffn,
    /// Norm of what the MLP adds.
    pub ffn_post_norm: Option<VectorId>,
}

impl Layer {
    /// The weights of layer `index`.
    pub(super) fn find(finder: &mut Finder<'_>, index: u32) -> Result<Layer> {
        let config = finder.config;
        let name = |part: &str| format!("blk.{index}.{part}");
        let attn_norm = finder.norm(&name("attn_norm"), 1.0)?;
        let mixer = Mixer::find(finder, index)?;
        // Some families call the norm before the MLP by the name that others have for the one after the mixer.
        let attn_post_norm = if config.ffn_norm_name == "post_attention_norm" {
            None
        } else {
            finder.vector_if_there(&name("post_attention_norm.weight"), config.dim)?
        };
        let layer = Layer {
            attn_norm,
            mixer,
            attn_post_norm,
            ffn_norm: finder.norm(&name(config.ffn_norm_name), 1.0)?,
            ffn: Ffn::find(finder, index)?,
            ffn_post_norm: finder.vector_if_there(&name("post_ffw_norm.weight"), config.dim)?,
        };
        if matches!(layer.ffn, Ffn::Experts { .. })
            && (layer.ffn_norm.is_none() || layer.ffn_post_norm.is_some())
        {
            return Err(Error::unsupported(
                Unsupported::Tensor,
                format!(
                    "blk.{index}: experts with a norm after them, or none before, are not run here"
                ),
            ));
        }
        let norms = [
            (layer.attn_norm, layer.attn_post_norm, "attn_norm"),
            (layer.ffn_norm, layer.ffn_post_norm, config.ffn_norm_name),
        ];
        for (before, after, what) in norms {
            if before.is_none() && after.is_none() {
                let missing = name(what);
                return Err(Error::bad_file(format!(
                    "tensor {missing}.weight is missing"
                )));
            }
        }
        Ok(layer)
    }

    /// The residual stream after the block, from `x` before it.
    pub(super) fn ops(
        &self,
        g: &mut Graph,
        x: Tensor,
        layer: u32,
        (config, shape): (&Config, &Shape),
    ) -> Tensor {
        let h = stream_norm(g, x, self.attn_norm, config);
        let y = self.mixer.ops(g, h, layer, shape);
        let y = post_norm(g, y, self.attn_post_norm, config);
        let x = g.add(x, y);
        let h = stream_norm(g, x, self.ffn_norm, config);
        let y = self.ffn.ops(g, h);
        let y = post_norm(g, y, self.ffn_post_norm, config);
        g.add(x, y)
    }
}

/// norm(x) of the residual stream; x itself where there is no norm.
pub(super) fn stream_norm(
    g: &mut Graph,
    x: Tensor,
    norm: Option<NormWeights>,
    config: &Config,
) -> Tensor {
    let Some(NormWeights { weight, bias }) = norm else {
        return x;
    };
    let norm = Norm {
        x,
        kind: if config.layer_norm {
            NormKind::Layer
        } else {
            NormKind::Rms
        },
        weight,
        bias,
        eps: config.stream_epsilon(),
        groups: None,
        gate: None,
    };
    g.norm(norm, "h")
}

/// The norm of what a layer adds to the stream, where there is one.
fn post_norm(g: &mut Graph, y: Tensor, weight: Option<VectorId>, config: &Config) -> Tensor {
    let Some(weight) = weight else {
        return y;
    };
    let norm = Norm {
        x: y,
        kind: NormKind::Rms,
        weight,
        bias: None,
        eps: config.norm_epsilon,
        groups: None,
        gate: None,
    };
    g.norm(norm, "y")
}
