//! Draft block (multi-token prediction: DeepSeek-V3, DeepSeek-AI 2024, section 2.2): a block of its own that guesses the token
//! after next from the next one and from the row that the model made before it.

use super::{
    block::Layer,
    config::Config,
    mixer::Shape,
    tensors::{Affine, Finder, Head, NormWeights},
};
use crate::{
    Error, Result, Unsupported,
    graph::{Graph, Groups, MatrixId, Norm, Tensor, VectorId},
};

/// A draft block's weights.
#[derive(Debug)]
pub struct Draft {
    /// Its number among the blocks.
    index: u32,
    /// Embedding of its tokens: its own, or the model's.
    pub embedding: MatrixId,
    /// Weights of the norms of embeddings and of the model's rows, (2, dim).
    input_norms: VectorId,
    /// From both, side by side, to the residual stream.
    input: Affine,
    layer: Layer,
    /// Norm after the block: its own, or the model's.
    pub last_norm: NormWeights,
    /// Logits: of a matrix of its own, or of the model's.
    pub head: Head,
}

impl Draft {
    /// The weights of the first block behind those of a model that has this embedding, and this norm and head after the
    /// last.
    pub(super) fn find(
        finder: &mut Finder<'_>,
        embedding: MatrixId,
        (last_norm, head): (NormWeights, Head),
    ) -> Result<Draft> {
        let config = finder.config;
        let (index, dim) = (config.layers, config.dim);
        if !dim.is_multiple_of(32) {
            return Err(Error::unsupported(
                Unsupported::Shape,
                format!("a draft block over {dim} values: only multiples of 32 are run here"),
            ));
        }
        let name = |part: &str| format!("blk.{index}.nextn.{part}");
        let mut own = |part: &str, otherwise: MatrixId| {
            let name = name(&format!("{part}.weight"));
            if !finder.has(&name) {
                return Ok(otherwise);
            }
            let tensor = finder.tensor(&name, &[dim, config.vocab_size])?;
            finder.matrix(vec![tensor], false)
        };
        let embedding = own("embed_tokens", embedding)?;
        let matrix = own("shared_head_head", head.matrix)?;
        let norms = ["enorm", "hnorm"].map(|part| (name(&format!("{part}.weight")), dim));
        let norm_name = name("shared_head_norm");
        let mut norm = |factor| {
            let found = finder.norm(&norm_name, factor)?;
            let kind = config.row.draft_norm;
            Ok::<_, Error>(found.map(|norm| NormWeights { kind, ..norm }))
        };
        let head_norm = norm(config.scales.logits)?.unwrap_or(head.norm);
        let last_norm = norm(1.0)?.unwrap_or(last_norm);
        Ok(Draft {
            index,
            embedding,
            input_norms: finder.vectors_joined(&norms, 1.0)?,
            input: finder.affine(&name("eh_proj"), 2 * dim, dim)?,
            layer: Layer::find(finder, index)?,
            last_norm,
            head: Head {
                norm: head_norm,
                matrix,
            },
        })
    }

    /// Whether a tensor of this name is its.
    pub(super) fn has(&self, name: &str) -> bool {
        name.starts_with(&format!("blk.{}.", self.index))
    }

    /// Writes its ops from rows of its embedding with the model's behind them. Returns the residual stream after the block.
    pub(super) fn ops(
        &self,
        g: &mut Graph,
        both: Tensor,
        (config, shape): (&Config, &Shape),
    ) -> Tensor {
        let dim = config.dim;
        g.set_layer(Some(self.index));
        let halves = Groups {
            alone: false,
            start: 0,
            count: 2,
            cols: dim,
            split: 1,
        };
        let norm = Norm {
            groups: Some(halves),
            ..Norm::rms(both, self.input_norms, config.norm_epsilon)
        };
        let both = g.map(both, norm);
        let x = self.input.ops(g, both, ("x", dim));
        let x = self.layer.ops(g, (x, None), self.index, (config, shape));
        g.set_layer(None);
        x
    }
}
