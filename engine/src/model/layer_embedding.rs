//! Embeddings that each layer has of its own for every token (Gemma 3n and 4, Gemma Team 2025): looked up for all layers at
//! once, added to a projection of the token's embedding, and let into the residual stream by a gate after each block.

use super::tensors::Finder;
use crate::{
    Result,
    graph::{
        Activation, Embed, GateUp, Glu, Graph, Groups, Lookup, MatrixId, Norm, NormKind, Tensor,
        TensorSpec, VectorId,
    },
};

/// Embeddings of all layers, and how they are made.
#[derive(Debug)]
pub struct LayerEmbeddings {
    /// Values of a layer's embedding.
    dim: u32,
    layers: u32,
    /// Size of the residual stream.
    stream_dim: u32,
    eps: f32,
    /// The embeddings of all layers, (vocab_size, layers · dim).
    table: MatrixId,
    /// From the token's embedding to all layers', (layers · dim, stream_dim).
    projection: MatrixId,
    /// The weight of the norm of each layer's projection, (dim).
    norm: VectorId,
}

impl LayerEmbeddings {
    /// The tables of a model whose layers have embeddings of `dim` values.
    pub(super) fn find(finder: &mut Finder<'_>, dim: u32) -> Result<LayerEmbeddings> {
        let config = finder.config;
        let all = dim * config.layers;
        let table = finder.tensor("per_layer_token_embd.weight", &[all, config.vocab_size])?;
        let projection = finder.tensor("per_layer_model_proj.weight", &[config.dim, all])?;
        let name = "per_layer_proj_norm.weight".to_owned();
        Ok(LayerEmbeddings {
            dim,
            layers: config.layers,
            stream_dim: config.dim,
            eps: config.norm_epsilon,
            table: finder.matrix(vec![table], false)?,
            projection: finder.matrix(vec![projection], false)?,
            norm: finder.vectors_joined(&[(name, dim)], MEAN)?,
        })
    }

    /// The embeddings of all layers, (vocab_size, layers · dim), or a pass's rows of them.
    pub(super) fn table(&self) -> MatrixId {
        self.table
    }

    /// Has embeddings looked up in another table of the same columns.
    pub(super) fn set_table(&mut self, table: MatrixId) {
        self.table = table;
    }

    /// The embeddings of all layers, from the residual stream `x` at its start.
    pub(super) fn ops(&self, g: &mut Graph, x: Tensor) -> Tensor {
        let all = self.dim * self.layers;
        let embed = Embed {
            table: self.table,
            lookup: Lookup::Token,
            scale: (self.dim as f32).sqrt() * MEAN,
        };
        let own = g.push(embed, TensorSpec::per_row("layer_embeddings", all));
        let projected = g.linear(x, &[(self.projection, 0)], None, ("projected", all));
        let norm = Norm {
            x: projected,
            kind: NormKind::Rms,
            weight: self.norm,
            bias: None,
            // The projection is over the root of the stream's size, which the norm undoes but for its epsilon.
            eps: self.eps * self.stream_dim as f32,
            groups: Some(Groups {
                alone: true,
                start: 0,
                count: self.layers,
                cols: self.dim,
                split: self.layers,
            }),
            gate: None,
        };
        let projected = g.norm(norm, "projected");
        g.add(own, projected)
    }
}

/// Factor on the two that are added: 1 / √2.
const MEAN: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// Weights by which a layer lets its embedding in.
#[derive(Debug)]
pub struct LayerInput {
    dim: u32,
    stream_dim: u32,
    eps: f32,
    activation: Activation,
    /// From the residual stream to a gate, (dim, stream_dim).
    gate: MatrixId,
    /// Back to it, (stream_dim, dim).
    projection: MatrixId,
    /// The weight of the norm of what is added.
    norm: VectorId,
}

impl LayerInput {
    /// The weights of layer `index`.
    pub(super) fn find(finder: &mut Finder<'_>, dim: u32, index: u32) -> Result<LayerInput> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let config = finder.config;
        let gate = finder.tensor(&name("inp_gate"), &[config.dim, dim])?;
        let projection = finder.tensor(&name("proj"), &[dim, config.dim])?;
        Ok(LayerInput {
            dim,
            stream_dim: config.dim,
            eps: config.norm_epsilon,
            activation: config.row.activation,
            gate: finder.matrix(vec![gate], false)?,
            projection: finder.matrix(vec![projection], false)?,
            norm: finder.vector(&name("post_norm"), config.dim)?,
        })
    }

    /// The residual stream `x` with the embedding of layer `layer` let in, of those of all layers.
    pub(super) fn ops(&self, g: &mut Graph, x: Tensor, all: Tensor, layer: u32) -> Tensor {
        let gate = g.linear(x, &[(self.gate, 0)], None, ("gate", self.dim));
        let glu = Glu {
            gate_up: GateUp::Beside(gate.from(0), all.from(layer * self.dim)),
            activation: self.activation,
            cols: self.dim,
            groups: 1,
            bias: None,
        };
        let up = g.push(glu, TensorSpec::per_row("up", self.dim));
        let y = g.linear(up, &[(self.projection, 0)], None, ("y", self.stream_dim));
        let norm = Norm::rms(y, self.norm, self.eps);
        let y = g.norm(norm, "y");
        g.add(x, y)
    }
}
