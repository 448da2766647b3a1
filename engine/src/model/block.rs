//! A block: x += mixer(norm(x)); x += ffn(norm(x)), with the norms that its family has before and after each, or one of the
//! two alone.

use super::{
    ffn::Ffn,
    layer_embedding::LayerInput,
    mixer::{Mixer, Shape},
    tensors::{Finder, NormWeights},
};
use crate::{
    Error, Result,
    graph::{Graph, Norm, Scale, Tensor, VectorId},
    model::{config::Config, families::Order},
};

/// One block.
#[derive(Debug)]
pub struct Layer {
    /// Norm before the mixer.
    pub attn_norm: Option<NormWeights>,
    /// The part that looks at other rows.
    pub mixer: Option<Mixer>,
    /// Norm of what the mixer adds.
    pub attn_post_norm: Option<VectorId>,
    /// Norms of the sums that the blocks of encoders have.
    pub sums: SumNorms,
    /// Norm before the MLP; where there is none, it reads what the mixer reads.
    pub ffn_norm: Option<NormWeights>,
    /// The MLP.
    pub ffn: Option<Ffn>,
    /// Norm of what the MLP adds.
    pub ffn_post_norm: Option<VectorId>,
    /// The layer's own embedding on its way in.
    pub input: Option<LayerInput>,
    /// A factor on the residual stream after all of it.
    pub scale: Option<VectorId>,
}

/// Norms of the residual stream after sums, in the order in which they come (Devlin et al. 2018).
#[derive(Debug, Clone, Copy)]
pub struct SumNorms {
    /// Norm of the stream and what the mixer adds.
    pub mixer: Option<NormWeights>,
    /// Norm of that and the stream before the block once more.
    pub again: Option<NormWeights>,
    /// Norm of the stream and what the MLP adds.
    pub ffn: Option<NormWeights>,
}

impl SumNorms {
    /// The norms of layer `index`.
    fn find(finder: &mut Finder<'_>, index: u32) -> Result<SumNorms> {
        let factor = 1.0 / finder.config.scales.residual;
        let mut norm = |part: &str| finder.norm(&format!("blk.{index}.{part}"), factor);
        let mixer = norm("attn_output_norm")?;
        let again = mixer.map_or(Ok(None), |_| norm("attn_norm_2"))?;
        let ffn = norm("layer_output_norm")?;
        Ok(SumNorms { mixer, again, ffn })
    }

    /// The stream after a mixer that adds `all` to `x`.
    fn after_mixer(&self, g: &mut Graph, x: Tensor, all: Vec<Tensor>, config: &Config) -> Tensor {
        let Some(again) = self.again else {
            let x = all.into_iter().fold(x, |x, y| g.add(x, y));
            return stream_norm(g, x, self.mixer, config);
        };
        // The stream before the block stays as it is until it is added once more.
        let y = all.into_iter().chain([x]).reduce(|a, b| g.add(a, b));
        let y = y.expect("the stream is there");
        let y = stream_norm(g, y, self.mixer, config);
        let y = g.add(y, x);
        stream_norm(g, y, Some(again), config)
    }
}

impl Layer {
    /// The weights of layer `index`.
    pub(super) fn find(finder: &mut Finder<'_>, index: u32) -> Result<Layer> {
        let config = finder.config;
        let name = |part: &str| format!("blk.{index}.{part}");
        let attn_norm = finder.norm(&name("attn_norm"), 1.0)?;
        let mixer = Mixer::find(finder, index)?;
        // Some families call the norm before the MLP by the name that others have for the one after the mixer.
        let ffn_norm_name = config.row.ffn_norm_name;
        let attn_post_norm = if ffn_norm_name == "post_attention_norm" {
            None
        } else {
            finder.vector_if_there(&name("post_attention_norm.weight"), config.dim)?
        };
        let both = mixer.is_some() && config.blocks[index as usize].ffn.is_some();
        let layer = Layer {
            attn_norm,
            mixer,
            attn_post_norm,
            sums: SumNorms::find(finder, index)?,
            ffn_norm: if both {
                finder.norm(&name(ffn_norm_name), 1.0)?
            } else {
                None
            },
            ffn: Ffn::find(finder, index)?,
            ffn_post_norm: finder.vector_if_there(&name("post_ffw_norm.weight"), config.dim)?,
            input: config
                .layer_embedding_dim
                .map(|dim| LayerInput::find(finder, dim, index))
                .transpose()?,
            scale: finder.factor_if_there(&name("layer_output_scale.weight"), config.dim)?,
        };
        let parallel = config.row.order == Order::Parallel;
        let sums = layer.sums;
        // The first layer may read normed embeddings as they are.
        let normed = index == 0 && finder.embedding_norm().is_some();
        let attn = layer.attn_norm.is_some() || layer.attn_post_norm.is_some();
        let attn = attn || sums.mixer.is_some() || normed;
        let ffn = layer.ffn_norm.is_some() || layer.ffn_post_norm.is_some() || parallel;
        let ffn = ffn || sums.ffn.is_some() || !both;
        for (has_norm, what) in [(attn, "attn_norm"), (ffn, ffn_norm_name)] {
            if !has_norm {
                let missing = name(what);
                return Err(Error::bad_file(format!(
                    "tensor {missing}.weight is missing"
                )));
            }
        }
        Ok(layer)
    }

    /// The residual stream after the block, from `x` before it and the embeddings that all layers have of their own.
    pub(super) fn ops(
        &self,
        g: &mut Graph,
        (x, embeddings): (Tensor, Option<Tensor>),
        layer: u32,
        config: (&Config, &Shape),
    ) -> Tensor {
        let x = self.body(g, x, layer, config);
        let x = match (&self.input, embeddings) {
            (Some(input), Some(all)) => input.ops(g, x, all, layer),
            _ => x,
        };
        match self.scale {
            Some(factor) => g.map(x, Scale { x, factor }),
            None => x,
        }
    }

    fn body(
        &self,
        g: &mut Graph,
        x: Tensor,
        layer: u32,
        (config, shape): (&Config, &Shape),
    ) -> Tensor {
        let h = stream_norm(g, x, self.attn_norm, config);
        let mixer = self.mixer.as_ref();
        let all = mixer.map_or(vec![], |mixer| mixer.ops(g, h, layer, shape));
        let all = post_norm(g, all, self.attn_post_norm, config);
        // The MLP of a parallel block reads what the mixer reads.
        let norms = [self.ffn_norm, self.sums.ffn];
        let parallel = self.ffn_post_norm.is_none() && norms.iter().all(Option::is_none);
        let Some(ffn) = self.ffn.as_ref().filter(|_| !parallel) else {
            let ffn = self.ffn.as_ref();
            let more = ffn.map_or(vec![], |ffn| ffn.ops(g, (h, x), layer));
            return all.into_iter().chain(more).fold(x, |x, y| g.add(x, y));
        };
        let x = self.sums.after_mixer(g, x, all, config);
        let h = stream_norm(g, x, self.ffn_norm, config);
        let all = ffn.ops(g, (h, x), layer);
        let all = post_norm(g, all, self.ffn_post_norm, config);
        let x = all.into_iter().fold(x, |x, y| g.add(x, y));
        stream_norm(g, x, self.sums.ffn, config)
    }
}

/// norm(x) of the residual stream; x itself where there is no norm.
pub(super) fn stream_norm(
    g: &mut Graph,
    x: Tensor,
    norm: Option<NormWeights>,
    config: &Config,
) -> Tensor {
    let Some(NormWeights { kind, weight, bias }) = norm else {
        return x;
    };
    let norm = Norm {
        x,
        kind,
        weight,
        bias,
        eps: config.stream_epsilon(),
        groups: None,
        gate: None,
    };
    g.norm(norm, "h")
}

/// The norm of all that a layer adds to the stream, where there is one; else each summand as it is.
fn post_norm(
    g: &mut Graph,
    all: Vec<Tensor>,
    weight: Option<VectorId>,
    config: &Config,
) -> Vec<Tensor> {
    let Some(weight) = weight else {
        return all;
    };
    let y = all.into_iter().reduce(|a, b| g.add(a, b));
    let norm = |y| {
        let eps = config.row.post_norm_epsilon.unwrap_or(config.norm_epsilon);
        g.norm(Norm::rms(y, weight, eps), "y")
    };
    y.map(norm).into_iter().collect()
}
