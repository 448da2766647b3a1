//! Attention beside a selective state space that reads the same (Falcon-H1, Zuo et al. 2025): matrices of both that are stored
//! alike are one.

use lantern_kernels::padded;

use super::{
    Shape,
    attention::{Attention, Shared},
    mamba::Mamba,
};
use crate::{
    Result,
    graph::{Graph, MatrixId, Tensor, TensorSpec},
    model::{
        config::{AttentionConfig, MambaConfig},
        tensors::Finder,
        weights::Arrangement,
    },
};

/// Weights of both in one block.
#[derive(Debug)]
pub struct Both {
    attention: Attention,
    mamba: Mamba,
    /// Attention's matrices make the input of the state space, too.
    one_input: bool,
    /// First column of the state space's results in a tensor that attention's begin, and the matrix that takes both back to the
    /// residual stream; none where each mixer has a matrix of its own.
    output: Option<(u32, MatrixId)>,
    sizes: MambaConfig,
    dim: u32,
}

/// Whether neither layer has a bias or factors of its own, which would have to reach both.
fn are_plain(finder: &Finder<'_>, index: u32, parts: &[&str]) -> bool {
    let mut parts = parts.iter();
    parts.all(|part| {
        let has = |end: &str| finder.has(&format!("blk.{index}.{part}.{end}"));
        !has("bias") && !has("scale")
    })
}

impl Both {
    /// The weights of layer `index`.
    pub(super) fn find(
        finder: &mut Finder<'_>,
        (attention, sizes): (AttentionConfig, MambaConfig),
        index: u32,
    ) -> Result<Both> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let dim = finder.config.dim;
        let inputs = ["attn_qkv", "attn_q", "attn_k", "attn_v", "ssm_in"];
        // Norms of all queries, and gates, are computed where those lie.
        let apart = ["attn_q_norm", "attn_gate", "attn_sub_norm"];
        let alone = !apart.iter().any(|part| finder.has(&name(part)));
        let one_input = alone && are_plain(finder, index, &inputs);
        let input = if one_input {
            Some(finder.tensor(&name("ssm_in"), &[dim, sizes.input_cols()])?)
        } else {
            None
        };
        let (q_dim, inner) = (attention.heads * attention.head_dim, sizes.inner());
        let parts = [("attn_output", q_dim), ("ssm_out", inner)];
        let plain = alone && are_plain(finder, index, &parts.map(|(part, _)| part));
        let kinds = parts.map(|(part, _)| finder.file.tensor(&name(part)).map(|t| t.kind));
        let output = if plain && kinds[0] == kinds[1] {
            let [of_heads, of_channels] =
                parts.map(|(part, cols)| finder.tensor(&name(part), &[cols, dim]));
            let tensors = vec![of_heads?, of_channels?];
            Some((
                padded(q_dim),
                finder.arranged(tensors, Arrangement::Beside)?,
            ))
        } else {
            None
        };
        let shared = Shared {
            input,
            output: output.is_some(),
        };
        Ok(Both {
            attention: Attention::find_beside(finder, attention, index, &shared)?,
            mamba: Mamba::find_beside(finder, sizes, index, &shared)?,
            one_input,
            output,
            sizes,
            dim,
        })
    }

    /// Writes the ops of both from the input `h`. Returns what is added to the residual stream, one after the other.
    pub(super) fn ops(&self, g: &mut Graph, h: Tensor, layer: u32, shape: &Shape) -> Vec<Tensor> {
        let (attention, mamba) = (&self.attention, &self.mamba);
        let qkv = attention.input(g, h);
        let q_dim = attention.q_dim();
        let own = TensorSpec::per_row("att", q_dim);
        let spec = match self.output {
            Some((start, _)) => TensorSpec {
                cols: start + self.sizes.inner(),
                gaps: (q_dim < start)
                    .then_some(q_dim..start)
                    .into_iter()
                    .collect(),
                ..own
            },
            None => own,
        };
        let att = attention.attended(g, (qkv, spec), layer, shape);
        let input = if self.one_input {
            qkv.from(attention.input_cols())
        } else {
            mamba.input(g, h)
        };
        let into = self.output.map(|(start, _)| att.from(start));
        let y = mamba.scanned(g, input, layer, into);
        match self.output {
            Some((_, matrix)) => vec![g.linear(y, &[(matrix, 0)], None, ("y", self.dim))],
            None => vec![attention.output(g, att), mamba.output(g, y)],
        }
    }
}
