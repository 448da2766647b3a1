//! Which tensors a model has, checked against its configuration: by their presence a block has biases, norms of queries
//! and keys, norms after its layers, or experts.

use std::collections::HashSet;

use super::{
    config::{Config, Experts},
    families::Activation,
    vector::Vector,
    weights::Matrix,
};
use crate::{
    Error, Gpu, ModelFile, Result,
    file::{TensorInfo, named},
};

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
    pub vectors: Vec<Vector>,
    /// Token embedding.
    pub embedding: MatrixId,
    /// Embedding of the positions.
    pub positions: Option<MatrixId>,
    /// The blocks.
    pub layers: Vec<Layer>,
    /// Norm after the last block.
    pub output_norm: Norm,
    /// From the residual stream to logits; the embedding itself where the file has no other.
    pub output: MatrixId,
    /// Factors on RoPE's frequencies.
    pub rope_factors: RopeFactors,
    /// Matrices that the file has; where the model streams, the embedding's rows of a pass follow them.
    pub stored: usize,
    /// One of them that nothing computes with, because its rows are looked up in the file.
    pub aside: Option<MatrixId>,
}

impl Layout {
    /// Bytes of its matrices in the file.
    pub fn weight_bytes(&self) -> u64 {
        let stored = &self.matrices[..self.stored];
        stored.iter().map(Matrix::bytes).sum()
    }

    /// Has the embedding looked up in `rows`, which are read for each pass, and other matrices as they are in `matrices`.
    pub(super) fn stream(&mut self, matrices: Vec<Matrix>, rows: Matrix) {
        self.matrices = matrices;
        self.aside = (self.embedding != self.output).then_some(self.embedding);
        self.embedding = self.matrices.len();
        self.matrices.push(rows);
    }
}

/// Factors on RoPE's frequencies.
#[derive(Debug)]
pub enum RopeFactors {
    /// None.
    None,
    /// Always these.
    Always(TensorInfo),
    /// The first up to the original context, the second for a longer one.
    ByContext(TensorInfo, TensorInfo),
}

/// A norm's weight, and its bias.
#[derive(Debug, Clone, Copy)]
pub struct Norm {
    /// The weight.
    pub weight: VectorId,
    /// LayerNorm's bias.
    pub bias: Option<VectorId>,
}

/// A matrix, and what is added to its product.
#[derive(Debug, Clone, Copy)]
pub struct Affine {
    /// The matrix.
    pub matrix: MatrixId,
    /// The bias.
    pub bias: Option<VectorId>,
}

/// Norms of queries and keys.
#[derive(Debug, Clone, Copy)]
pub enum QkNorm {
    /// Of each head: the weights for queries and for keys, joined.
    Heads(VectorId),
    /// Of all queries together, and of all keys.
    Whole(VectorId, VectorId),
}

/// What follows attention in a block.
#[derive(Debug)]
pub enum Ffn {
    /// Gate and up, one matrix of alternating rows, or two where they are stored differently; and down.
    Gated(Vec<MatrixId>, Affine),
    /// Up and down.
    Plain(Affine, Affine),
    /// A router, and gate and up, and down, of all experts.
    Experts(Experts, MatrixId, MatrixId, MatrixId),
}

/// Matrices whose results lie one after the other, each with its start.
pub type Joined = Vec<(MatrixId, u32)>;

/// One block.
#[derive(Debug)]
pub struct Layer {
    /// Norm before attention.
    pub attention_norm: Option<Norm>,
    /// Queries, keys and values: joined as far as they are stored alike, each with its start in the joined row.
    pub qkv: Joined,
    /// Added to all of them.
    pub qkv_bias: Option<VectorId>,
    /// Norms of queries and keys.
    pub qk_norm: Option<QkNorm>,
    /// From attention to the residual stream.
    pub attention_output: Affine,
    /// Norm of what attention adds.
    pub attention_post: Option<VectorId>,
    /// Norm before the MLP.
    pub ffn_norm: Option<Norm>,
    /// The MLP.
    pub ffn: Ffn,
    /// Norm of what the MLP adds.
    pub ffn_post: Option<VectorId>,
}

struct Builder<'a> {
    gpu: &'a Gpu,
    file: &'a ModelFile,
    matrices: Vec<Matrix>,
    vectors: Vec<Vector>,
    used: HashSet<String>,
    /// Is added to norms' weights.
    norm_offset: f32,
}

impl Builder<'_> {
    fn has(&self, name: &str) -> bool {
        self.file.tensor(name).is_some()
    }

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
            .push(Matrix::new(self.gpu, tensors, interleaved)?);
        Ok(self.matrices.len() - 1)
    }

    fn vector(&mut self, name: &str, dim: u32) -> Result<VectorId> {
        self.vectors_joined(&[(name.to_string(), dim)], 1.0)
    }

    /// Vectors one after the other as one, times `factor`.
    fn vectors_joined(&mut self, parts: &[(String, u32)], factor: f32) -> Result<VectorId> {
        let tensors = parts
            .iter()
            .map(|(name, dim)| self.tensor(name, &[*dim]))
            .collect::<Result<_>>()?;
        let is_norm = parts.iter().all(|(name, _)| name.ends_with("norm.weight"));
        let offset = if is_norm { self.norm_offset } else { 0.0 };
        self.vectors.push(Vector {
            tensors,
            offset,
            factor,
        });
        Ok(self.vectors.len() - 1)
    }

    fn vector_if_there(&mut self, name: &str, dim: u32) -> Result<Option<VectorId>> {
        self.has(name).then(|| self.vector(name, dim)).transpose()
    }

    /// A norm, where there is one; its bias only LayerNorm has.
    fn norm(&mut self, stem: &str, dim: u32, factor: f32, config: &Config) -> Result<Option<Norm>> {
        let (weight, bias) = (format!("{stem}.weight"), format!("{stem}.bias"));
        if !self.has(&weight) {
            return Ok(None);
        }
        let weight = self.vectors_joined(&[(weight, dim)], factor)?;
        let bias = if config.layer_norm {
            Some(self.vectors_joined(&[(bias, dim)], factor)?)
        } else {
            None
        };
        Ok(Some(Norm { weight, bias }))
    }

    fn affine(&mut self, stem: &str, cols: u32, rows: u32) -> Result<Affine> {
        let tensor = self.tensor(&format!("{stem}.weight"), &[cols, rows])?;
        let matrix = self.matrix(vec![tensor], false)?;
        let bias = self.vector_if_there(&format!("{stem}.bias"), rows)?;
        Ok(Affine { matrix, bias })
    }

    fn layer(&mut self, config: &Config, index: u32) -> Result<Layer> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let dim = config.dim;
        let q_dim = config.heads * config.head_dim;
        let attention_norm = self.norm(&name("attn_norm"), dim, 1.0, config)?;
        let (qkv, qkv_bias) = self.qkv(config, index)?;
        let attention_post = name("post_attention_norm.weight");
        let ffn_post = name("post_ffw_norm.weight");
        let layer = Layer {
            attention_norm,
            qkv,
            qkv_bias,
            qk_norm: self.qk_norm(config, index)?,
            attention_output: self.affine(&name("attn_output"), q_dim, dim)?,
            attention_post: self.vector_if_there(&attention_post, dim)?,
            ffn_norm: self.norm(&name("ffn_norm"), dim, 1.0, config)?,
            ffn: self.ffn(config, index)?,
            ffn_post: self.vector_if_there(&ffn_post, dim)?,
        };
        if matches!(layer.ffn, Ffn::Experts(..))
            && (layer.ffn_norm.is_none() || layer.ffn_post.is_some())
        {
            return Err(Error::Unsupported(format!(
                "blk.{index}: experts with a norm after them, or none before, are not run here"
            )));
        }
        for (before, after, what) in [
            (
                layer.attention_norm.is_some(),
                layer.attention_post,
                "attn_norm",
            ),
            (layer.ffn_norm.is_some(), layer.ffn_post, "ffn_norm"),
        ] {
            if !before && after.is_none() {
                let missing = name(what);
                return Err(Error::BadFile(format!(
                    "tensor {missing}.weight is missing"
                )));
            }
        }
        Ok(layer)
    }

    /// Queries, keys and values, in one tensor or three, and their biases.
    fn qkv(&mut self, config: &Config, index: u32) -> Result<(Joined, Option<VectorId>)> {
        let kv_dim = config.kv_heads * config.head_dim;
        let q_dim = config.heads * config.head_dim;
        let fused = [("attn_qkv", config.qkv_dim())];
        let three = [("attn_q", q_dim), ("attn_k", kv_dim), ("attn_v", kv_dim)];
        let parts: &[(&str, u32)] = if self.has(&format!("blk.{index}.attn_qkv.weight")) {
            &fused
        } else {
            &three
        };
        let mut weights = Vec::new();
        let mut biases = Vec::new();
        for &(part, rows) in parts {
            weights.push(self.tensor(&format!("blk.{index}.{part}.weight"), &[config.dim, rows])?);
            biases.push((format!("blk.{index}.{part}.bias"), rows));
        }
        let bias = if biases.iter().any(|(name, _)| self.has(name)) {
            Some(self.vectors_joined(&biases, 1.0)?)
        } else {
            None
        };
        Ok((self.joined(weights)?, bias))
    }

    fn qk_norm(&mut self, config: &Config, index: u32) -> Result<Option<QkNorm>> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let (q, k) = (name("attn_q_norm"), name("attn_k_norm"));
        let Some(found) = self.file.tensor(&q) else {
            return Ok(None);
        };
        let head = config.head_dim;
        let (q_dim, kv_dim) = (config.heads * head, config.kv_heads * head);
        Ok(Some(if found.shape == [u64::from(head)] {
            QkNorm::Heads(self.vectors_joined(&[(q, head), (k, head)], 1.0)?)
        } else {
            QkNorm::Whole(self.vector(&q, q_dim)?, self.vector(&k, kv_dim)?)
        }))
    }

    fn ffn(&mut self, config: &Config, index: u32) -> Result<Ffn> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let weight = |part: &str| format!("blk.{index}.{part}.weight");
        let (dim, ffn) = (config.dim, config.ffn_dim);
        if let Some(experts) = config.experts {
            return self.experts(config, experts, index);
        }
        if self.has(&weight("ffn_gate")) {
            let gate = self.tensor(&weight("ffn_gate"), &[dim, ffn])?;
            let up = self.tensor(&weight("ffn_up"), &[dim, ffn])?;
            let gate_up = self.gate_up(gate, up)?;
            return Ok(Ffn::Gated(
                gate_up,
                self.affine(&name("ffn_down"), ffn, dim)?,
            ));
        }
        // Gate and up in one tensor, the gate first.
        let up = self.file.tensor(&weight("ffn_up"));
        if up.is_some_and(|t| t.shape == [u64::from(dim), u64::from(ffn) * 2]) {
            let both = self.tensor(&weight("ffn_up"), &[dim, 2 * ffn])?;
            let gate_up = self.gate_up(both.rows(0, ffn), both.rows(ffn, ffn))?;
            return Ok(Ffn::Gated(
                gate_up,
                self.affine(&name("ffn_down"), ffn, dim)?,
            ));
        }
        // Only GELU's families have an MLP without a gate.
        if config.activation != Activation::Gelu {
            let missing = weight("ffn_gate");
            return Err(Error::BadFile(format!("tensor {missing} is missing")));
        }
        Ok(Ffn::Plain(
            self.affine(&name("ffn_up"), dim, ffn)?,
            self.affine(&name("ffn_down"), ffn, dim)?,
        ))
    }

    fn gate_up(&mut self, gate: TensorInfo, up: TensorInfo) -> Result<Vec<MatrixId>> {
        Ok(if gate.kind == up.kind {
            vec![self.matrix(vec![gate, up], true)?]
        } else {
            vec![
                self.matrix(vec![gate], false)?,
                self.matrix(vec![up], false)?,
            ]
        })
    }

    /// The rows of all experts one after the other, gate and up alternating.
    fn experts(&mut self, config: &Config, experts: Experts, index: u32) -> Result<Ffn> {
        let weight = |part: &str| format!("blk.{index}.{part}.weight");
        let (dim, ffn, n_experts) = (config.dim, config.ffn_dim, experts.n_experts);
        if !dim.is_multiple_of(4) || !ffn.is_multiple_of(4) {
            return Err(Error::Unsupported(format!(
                "experts of {dim} and {ffn}: only multiples of 4 are run here"
            )));
        }
        let router = self.tensor(&weight("ffn_gate_inp"), &[dim, n_experts])?;
        let router = self.matrix(vec![router], false)?;
        let gate = self.tensor(&weight("ffn_gate_exps"), &[dim, ffn, n_experts])?;
        let up = self.tensor(&weight("ffn_up_exps"), &[dim, ffn, n_experts])?;
        let down = self.tensor(&weight("ffn_down_exps"), &[ffn, dim, n_experts])?;
        if gate.kind != up.kind {
            let (gate, up) = (gate.kind.name(), up.kind.name());
            return Err(Error::Unsupported(format!(
                "blk.{index}: experts' gates are stored as {gate} and ups as {up}; only alike are run here"
            )));
        }
        let gate_up = self.matrix(vec![gate.flat()?, up.flat()?], true)?;
        let down = self.matrix(vec![down.flat()?], false)?;
        Ok(Ffn::Experts(experts, router, gate_up, down))
    }

    /// Neighbours that are stored alike become one matrix.
    fn joined(&mut self, tensors: Vec<TensorInfo>) -> Result<Joined> {
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

    fn rope_factors(&mut self, config: &Config) -> Result<RopeFactors> {
        let pairs = [config.rope.dimensions / 2];
        let (short, long) = ("rope_factors_short.weight", "rope_factors_long.weight");
        if self.has(short) || self.has(long) {
            let (short, long) = (self.tensor(short, &pairs)?, self.tensor(long, &pairs)?);
            return Ok(RopeFactors::ByContext(short, long));
        }
        let always = "rope_freqs.weight";
        Ok(if self.has(always) {
            RopeFactors::Always(self.tensor(always, &pairs)?)
        } else {
            RopeFactors::None
        })
    }
}

impl Layout {
    /// Finds every tensor of the model in the file.
    ///
    /// # Errors
    /// [`Error::BadFile`] for missing tensors and wrong shapes, [`Error::Unsupported`] for tensors that would be ignored.
    pub fn of(gpu: &Gpu, file: &ModelFile, config: &Config) -> Result<Layout> {
        Layout::find(gpu, file, config).map_err(|error| named(file.label(), error))
    }

    fn find(gpu: &Gpu, file: &ModelFile, config: &Config) -> Result<Layout> {
        let mut builder = Builder {
            gpu,
            file,
            matrices: vec![],
            vectors: vec![],
            used: HashSet::new(),
            norm_offset: file.metadata().f32("lantern.norm_offset")?.unwrap_or(0.0),
        };
        let shape = [config.dim, config.vocab_size];
        let embedding = builder.tensor("token_embd.weight", &shape)?;
        let embedding = builder.matrix(vec![embedding], false)?;
        let positions = match config.learned_positions {
            None => None,
            Some(rows) => {
                let tensor = builder.tensor("position_embd.weight", &[config.dim, rows])?;
                Some(builder.matrix(vec![tensor], false)?)
            }
        };
        let layers = (0..config.layers)
            .map(|i| builder.layer(config, i))
            .collect::<Result<_>>()?;
        // Logits are linear in what the last norm makes.
        let output_norm = builder.norm("output_norm", config.dim, config.scales.logits, config)?;
        let output_norm = output_norm
            .ok_or_else(|| Error::BadFile("tensor output_norm.weight is missing".into()))?;
        let output = if file.tensor("output.weight").is_none() {
            embedding
        } else {
            let tensor = builder.tensor("output.weight", &shape)?;
            builder.matrix(vec![tensor], false)?
        };
        let rope_factors = builder.rope_factors(config)?;
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
            stored: matrices.len(),
            aside: None,
            matrices,
            vectors,
            embedding,
            positions,
            layers,
            output_norm,
            output,
            rope_factors,
        })
    }
}
