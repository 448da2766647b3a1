//! Which tensors a Llama block has, checked against the configuration, in the order of the paper.

use std::collections::HashSet;

use super::{config::Config, weights::Matrix};
use crate::{Engine, Error, ModelFile, Result, file::TensorInfo};

/// Index of a matrix in [`Layout::matrices`].
pub type MatrixId = usize;
/// Index of a vector in [`Layout::vectors`].
pub type VectorId = usize;

/// A model's weights by their place in it.
#[derive(Debug)]
pub struct Layout {
    /// All matrices.
    pub matrices: Vec<Matrix>,
    /// All vectors.
    pub vectors: Vec<TensorInfo>,
    /// Token embedding.
    pub embedding: MatrixId,
    /// The blocks.
    pub layers: Vec<Layer>,
    /// Norm after the last block.
    pub output_norm: VectorId,
    /// From the residual stream to logits; the embedding itself where the file has no other.
    pub output: MatrixId,
    /// Factors on RoPE's frequencies.
    pub rope_factors: Option<TensorInfo>,
}

/// One block.
#[derive(Debug)]
pub struct Layer {
    /// Norm before attention.
    pub attention_norm: VectorId,
    /// Queries, keys and values: joined as far as they are stored alike, each with its start in the joined row.
    pub qkv: Vec<(MatrixId, u32)>,
    /// From attention to the residual stream.
    pub attention_output: MatrixId,
    /// Norm before the gated MLP.
    pub ffn_norm: VectorId,
    /// Gate and up: one matrix of alternating rows, or two where they are stored differently.
    pub gate_up: Vec<MatrixId>,
    /// From the gated MLP to the residual stream.
    pub ffn_down: MatrixId,
}

struct Builder<'a> {
    engine: &'a Engine,
    file: &'a ModelFile,
    matrices: Vec<Matrix>,
    vectors: Vec<TensorInfo>,
    used: HashSet<String>,
}

impl Builder<'_> {
    fn tensor(&mut self, name: &str, shape: &[u32]) -> Result<TensorInfo> {
        let tensor = self.file.tensor(name);
        let tensor = tensor
            .ok_or_else(|| Error::BadFile(format!("tensor {name} is missing")))?
            .clone();
        if !tensor
            .shape
            .iter()
            .copied()
            .eq(shape.iter().map(|&s| u64::from(s)))
        {
            let found = &tensor.shape;
            return Err(Error::BadFile(format!(
                "{name} has the shape {found:?}; the metadata make it {shape:?}"
            )));
        }
        self.used.insert(name.to_string());
        Ok(tensor)
    }

    fn matrix(&mut self, tensors: Vec<TensorInfo>, interleaved: bool) -> Result<MatrixId> {
        self.matrices
            .push(Matrix::new(self.engine, tensors, interleaved)?);
        Ok(self.matrices.len() - 1)
    }

    fn vector(&mut self, name: &str, width: u32) -> Result<VectorId> {
        let tensor = self.tensor(name, &[width])?;
        self.vectors.push(tensor);
        Ok(self.vectors.len() - 1)
    }

    fn layer(&mut self, config: &Config, index: u32) -> Result<Layer> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let (width, ffn) = (config.width, config.ffn_width);
        let (q_width, kv_width) = (
            config.heads * config.head_size,
            config.kv_heads * config.head_size,
        );
        let attention_norm = self.vector(&name("attn_norm"), width)?;
        let qkv = vec![
            self.tensor(&name("attn_q"), &[width, q_width])?,
            self.tensor(&name("attn_k"), &[width, kv_width])?,
            self.tensor(&name("attn_v"), &[width, kv_width])?,
        ];
        let qkv = self.joined(qkv)?;
        let output = self.tensor(&name("attn_output"), &[q_width, width])?;
        let attention_output = self.matrix(vec![output], false)?;
        let ffn_norm = self.vector(&name("ffn_norm"), width)?;
        let gate = self.tensor(&name("ffn_gate"), &[width, ffn])?;
        let up = self.tensor(&name("ffn_up"), &[width, ffn])?;
        let gate_up = if gate.kind == up.kind {
            vec![self.matrix(vec![gate, up], true)?]
        } else {
            vec![
                self.matrix(vec![gate], false)?,
                self.matrix(vec![up], false)?,
            ]
        };
        let down = self.tensor(&name("ffn_down"), &[ffn, width])?;
        let ffn_down = self.matrix(vec![down], false)?;
        Ok(Layer {
            attention_norm,
            qkv,
            attention_output,
            ffn_norm,
            gate_up,
            ffn_down,
        })
    }

    /// Neighbours that are stored alike become one matrix.
    fn joined(&mut self, tensors: Vec<TensorInfo>) -> Result<Vec<(MatrixId, u32)>> {
        let mut all = Vec::new();
        let mut start = 0;
        let mut rest = tensors.into_iter().peekable();
        while let Some(first) = rest.next() {
            let mut alike = vec![first];
            while let Some(next) = rest.next_if(|t| t.kind == alike[0].kind) {
                alike.push(next);
            }
            let id = self.matrix(alike, false)?;
            all.push((id, start));
            start += self.matrices[id].rows;
        }
        Ok(all)
    }
}

impl Layout {
    /// Finds every tensor of the model in the file.
    ///
    /// # Errors
    /// [`Error::BadFile`] for missing tensors and wrong shapes, [`Error::Unsupported`] for tensors that would be ignored.
    pub fn of(engine: &Engine, file: &ModelFile, config: &Config) -> Result<Layout> {
        let mut builder = Builder {
            engine,
            file,
            matrices: vec![],
            vectors: vec![],
            used: HashSet::new(),
        };
        let shape = [config.width, config.vocabulary];
        let embedding = builder.tensor("token_embd.weight", &shape)?;
        let embedding = builder.matrix(vec![embedding], false)?;
        let layers = (0..config.layers)
            .map(|i| builder.layer(config, i))
            .collect::<Result<_>>()?;
        let output_norm = builder.vector("output_norm.weight", config.width)?;
        let output = if file.tensor("output.weight").is_none() {
            embedding
        } else {
            let tensor = builder.tensor("output.weight", &shape)?;
            builder.matrix(vec![tensor], false)?
        };
        let rope_factors = match file.tensor("rope_freqs.weight") {
            None => None,
            Some(_) => Some(builder.tensor("rope_freqs.weight", &[config.rope.dimensions / 2])?),
        };
        let unused = file
            .tensors()
            .iter()
            .find(|t| !builder.used.contains(&t.name));
        if let Some(tensor) = unused {
            let (name, family) = (&tensor.name, &config.family);
            return Err(Error::Unsupported(format!(
                "tensor {name} has no place in a {family} model as it is run here"
            )));
        }
        let Builder {
            matrices, vectors, ..
        } = builder;
        Ok(Layout {
            matrices,
            vectors,
            embedding,
            layers,
            output_norm,
            output,
            rope_factors,
        })
    }
}
