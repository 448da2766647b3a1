//! Finding a model's tensors in its file: each is checked against the shape that the configuration makes of it, and those
//! that nothing asked for are an error.

use std::collections::HashSet;

use super::{
    config::Config,
    families::StreamNorm,
    vector::Vector,
    weights::{Arrangement, Matrix, PieceLimits},
};
use crate::{
    Error, ModelFile, Result, Unsupported,
    file::TensorInfo,
    graph::{Graph, MatrixId, NormKind, Scale, Tensor, VectorId},
};

/// Matrices whose results lie side by side, each with the column at which its own starts.
pub type Joined = Vec<(MatrixId, u32)>;

/// A norm's weight, and its bias.
#[derive(Debug, Clone, Copy)]
pub struct NormWeights {
    /// Its divisor.
    pub kind: NormKind,
    /// The weight.
    pub weight: VectorId,
    /// LayerNorm's bias.
    pub bias: Option<VectorId>,
}

/// The last norm, with the factor on logits, and their matrix.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// The norm.
    pub norm: NormWeights,
    /// The matrix, (vocab_size, dim).
    pub matrix: MatrixId,
}

/// A matrix, the factor on its product, and the bias.
#[derive(Debug, Clone, Copy)]
pub struct Affine {
    matrix: MatrixId,
    factor: Option<VectorId>,
    bias: Option<VectorId>,
}

impl Affine {
    /// W x times the factor, or W x + b, as a tensor called `name`.
    pub fn ops(&self, g: &mut Graph, x: Tensor, (name, cols): (&'static str, u32)) -> Tensor {
        let y = g.linear(x, &[(self.matrix, 0)], self.bias, (name, cols));
        scaled(g, y, self.factor)
    }
}

/// A tensor with a factor on each of its columns, where there are factors.
pub fn scaled(g: &mut Graph, x: Tensor, factor: Option<VectorId>) -> Tensor {
    match factor {
        Some(factor) => g.map(x, Scale { x, factor }),
        None => x,
    }
}

/// Collects the matrices and vectors of a model from its file.
pub(super) struct Finder<'a> {
    pub limits: PieceLimits,
    pub file: &'a ModelFile,
    pub config: &'a Config,
    pub matrices: Vec<Matrix>,
    pub vectors: Vec<Vector>,
    used: HashSet<String>,
    /// Is added to norms' weights.
    norm_offset: f32,
    /// The epsilon of norms within a mixer.
    pub inner_epsilon: f32,
}

/// The epsilon of norms within a mixer: that of all norms, unless the file says otherwise.
fn inner_epsilon(file: &ModelFile, config: &Config) -> Result<f32> {
    let key = "lantern.inner_norm_epsilon";
    match file.metadata().f32(key)? {
        Some(epsilon) if !(epsilon.is_finite() && epsilon >= 0.0) => {
            Err(Error::bad_file(format!("metadata {key} is {epsilon}")))
        }
        epsilon => Ok(epsilon.unwrap_or(config.norm_epsilon)),
    }
}

impl<'a> Finder<'a> {
    pub fn new(limits: PieceLimits, file: &'a ModelFile, config: &'a Config) -> Result<Finder<'a>> {
        Ok(Finder {
            limits,
            file,
            config,
            matrices: vec![],
            vectors: vec![],
            used: HashSet::new(),
            norm_offset: file.metadata().f32("lantern.norm_offset")?.unwrap_or(0.0),
            inner_epsilon: inner_epsilon(file, config)?,
        })
    }

    pub fn has(&self, name: &str) -> bool {
        self.file.tensor(name).is_some()
    }

    /// A tensor of the file, in this shape.
    pub fn tensor(&mut self, name: &str, shape: &[u32]) -> Result<TensorInfo> {
        let tensor = self.file.tensor(name);
        let tensor = tensor
            .ok_or_else(|| Error::bad_file(format!("tensor {name} is missing")))?
            .clone();
        let wanted = shape.iter().map(|&size| u64::from(size));
        if !tensor.shape.iter().copied().eq(wanted) {
            let found = &tensor.shape;
            return Err(Error::bad_file(format!(
                "{name} has the shape {found:?}; the metadata make it {shape:?}"
            )));
        }
        self.used.insert(name.to_string());
        Ok(tensor)
    }

    /// A matrix of these tensors, whose rows follow each other or, where `interleaved`, alternate.
    pub fn matrix(&mut self, tensors: Vec<TensorInfo>, interleaved: bool) -> Result<MatrixId> {
        self.arranged(
            tensors,
            if interleaved {
                Arrangement::Alternating
            } else {
                Arrangement::Following
            },
        )
    }

    /// A matrix of these tensors.
    pub fn arranged(
        &mut self,
        tensors: Vec<TensorInfo>,
        arrangement: Arrangement,
    ) -> Result<MatrixId> {
        self.matrices
            .push(Matrix::new(self.limits, tensors, arrangement)?);
        Ok(self.matrices.len() - 1)
    }

    pub fn vector(&mut self, name: &str, width: u32) -> Result<VectorId> {
        self.vectors_joined(&[(name.to_string(), width)], 1.0)
    }

    /// Vectors one after the other as one, times `factor`.
    pub fn vectors_joined(&mut self, parts: &[(String, u32)], factor: f32) -> Result<VectorId> {
        let tensors = parts
            .iter()
            .map(|(name, width)| self.tensor(name, &[*width]))
            .collect::<Result<_>>()?;
        let is_norm = parts.iter().all(|(name, _)| name.ends_with("norm.weight"));
        let offset = if is_norm { self.norm_offset } else { 0.0 };
        Ok(self.push_vector(tensors, offset, factor))
    }

    /// A small tensor of any shape as one vector.
    pub fn flat_vector(&mut self, name: &str, shape: &[u32]) -> Result<VectorId> {
        let tensor = self.tensor(name, shape)?;
        Ok(self.push_vector(vec![tensor], 0.0, 1.0))
    }

    /// The weight of a norm that has none: so many ones.
    pub fn ones(&mut self, count: u32) -> VectorId {
        self.constant(&[1.0], count)
    }

    /// Values that are in no file, so many times.
    pub fn constant(&mut self, values: &[f32], count: u32) -> VectorId {
        let id = self.push_vector(vec![], 0.0, 1.0);
        self.vectors[id].constant = values.to_vec();
        self.vectors[id].repeat = count;
        id
    }

    /// The one value of a tensor, so many times, where it is there.
    pub fn factor_if_there(&mut self, name: &str, count: u32) -> Result<Option<VectorId>> {
        let id = self.vector_if_there(name, 1)?;
        if let Some(id) = id {
            self.vectors[id].repeat = count;
        }
        Ok(id)
    }

    /// Small tensors of any shape as one vector.
    pub fn flat_vectors(&mut self, parts: &[(String, impl AsRef<[u32]>)]) -> Result<VectorId> {
        let tensors = parts
            .iter()
            .map(|(name, shape)| self.tensor(name, shape.as_ref()))
            .collect::<Result<_>>()?;
        Ok(self.push_vector(tensors, 0.0, 1.0))
    }

    /// Small tensors of this shape, whose last ones may be missing, as one vector.
    pub fn padded_vectors(&mut self, names: &[String], shape: &[u32]) -> Result<VectorId> {
        let mut tensors = Vec::new();
        for name in names {
            let dims = self
                .file
                .tensor(name)
                .map_or(0, |tensor| tensor.shape.len());
            let ones = shape.iter().rev().take_while(|&&size| size == 1).count();
            let dims = dims.clamp(shape.len() - ones, shape.len());
            tensors.push(self.tensor(name, &shape[..dims])?);
        }
        Ok(self.push_vector(tensors, 0.0, 1.0))
    }

    fn push_vector(&mut self, tensors: Vec<TensorInfo>, offset: f32, factor: f32) -> VectorId {
        self.vectors.push(Vector {
            tensors,
            constant: vec![],
            repeats: vec![],
            repeat: 1,
            offset,
            factor,
        });
        self.vectors.len() - 1
    }

    pub fn vector_if_there(&mut self, name: &str, width: u32) -> Result<Option<VectorId>> {
        self.has(name).then(|| self.vector(name, width)).transpose()
    }

    /// A norm, where there is one; its bias only LayerNorm has.
    pub fn norm(&mut self, stem: &str, factor: f32) -> Result<Option<NormWeights>> {
        let dim = self.config.dim;
        let (weight, bias) = (format!("{stem}.weight"), format!("{stem}.bias"));
        // Falcon-H1's files have one without an ending.
        let weight = if self.has(stem) {
            stem.to_owned()
        } else {
            weight
        };
        if !self.has(&weight) {
            return Ok(None);
        }
        let weight = self.vectors_joined(&[(weight, dim)], factor)?;
        let bias = if self.config.row.norm == StreamNorm::Layer {
            Some(self.vectors_joined(&[(bias, dim)], factor)?)
        } else {
            None
        };
        let kind = self.config.row.norm.kind();
        Ok(Some(NormWeights { kind, weight, bias }))
    }

    pub fn affine(&mut self, stem: &str, cols: u32, rows: u32) -> Result<Affine> {
        let tensor = self.tensor(&format!("{stem}.weight"), &[cols, rows])?;
        let matrix = self.matrix(vec![tensor], false)?;
        let bias = self.vector_if_there(&format!("{stem}.bias"), rows)?;
        let factor = self.factors(&[(stem.to_owned(), rows)])?;
        if let (Some(_), Some(_)) = (bias, factor) {
            return Err(Error::unsupported(
                Unsupported::Tensor,
                format!("{stem}.scale: factors beside a bias are not run here"),
            ));
        }
        Ok(Affine {
            matrix,
            factor,
            bias,
        })
    }

    /// Factors on the products of matrices whose rows follow each other, (rows of all): one that each has, or one for each of
    /// its rows, where they have any.
    pub fn factors(&mut self, parts: &[(String, u32)]) -> Result<Option<VectorId>> {
        let name = |stem: &str| format!("{stem}.scale");
        if !parts.iter().any(|(stem, _)| self.has(&name(stem))) {
            return Ok(None);
        }
        let (mut tensors, mut repeats) = (vec![], vec![]);
        for (stem, rows) in parts {
            let name = name(stem);
            let each = self.file.tensor(&name);
            let each = each.is_some_and(|tensor| tensor.shape == [u64::from(*rows)]);
            tensors.push(self.tensor(&name, &[if each { *rows } else { 1 }])?);
            repeats.push(if each { 1 } else { *rows });
        }
        let id = self.push_vector(tensors, 0.0, 1.0);
        self.vectors[id].repeats = repeats;
        Ok(Some(id))
    }

    /// Factors on the products of two matrices whose rows alternate.
    pub fn alternating_factors(
        &mut self,
        stems: [String; 2],
        rows: u32,
    ) -> Result<Option<VectorId>> {
        let id = self.factors(&stems.map(|stem| (stem, 1)))?;
        if let Some(id) = id {
            self.vectors[id].repeat = rows;
        }
        Ok(id)
    }

    /// Neighbours that are stored alike become one matrix; each with the column at which its result starts.
    pub fn joined(&mut self, tensors: Vec<TensorInfo>) -> Result<Joined> {
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

    /// The name of the norm of the embeddings, where the file has one; some families call their last norm so.
    pub fn embedding_norm(&self) -> Option<&'static str> {
        let name = "token_embd_norm";
        let own = self.config.row.output_norm_name != name;
        (own && self.has("token_embd_norm.weight")).then_some(name)
    }

    /// Counts tensors as known, though nothing computes with them.
    pub fn leave_out_names(&mut self, names: &[String]) {
        self.used.extend(names.iter().cloned());
    }

    /// The embedding of the first type of tokens, where the file has types: a text by itself is of that.
    pub fn token_type(&mut self) -> Result<Option<VectorId>> {
        let (name, dim) = ("token_types.weight", self.config.dim);
        let Some(tensor) = self.file.tensor(name) else {
            return Ok(None);
        };
        let types = tensor.shape.get(1).copied().unwrap_or(0);
        let types = u32::try_from(types).unwrap_or(u32::MAX);
        let all = self.tensor(name, &[dim, types])?;
        if types == 0 {
            return Err(Error::bad_file(format!("{name} has no rows")));
        }
        let factor = 1.0 / self.config.scales.residual;
        Ok(Some(self.push_vector(vec![all.rows(0, 1)], 0.0, factor)))
    }

    /// Counts the tensors of layer `layer` as known, though nothing computes with them.
    pub fn leave_out(&mut self, layer: u32) {
        let prefix = format!("blk.{layer}.");
        let names = self.file.tensors().iter().map(|tensor| &tensor.name);
        let own = names.filter(|name| name.starts_with(&prefix)).cloned();
        self.used.extend(own);
    }

    /// Refuses a file with tensors that nothing asked for.
    pub fn check_all_used(&self) -> Result<()> {
        let mut tensors = self.file.tensors().iter();
        let Some(tensor) = tensors.find(|tensor| !self.used.contains(&tensor.name)) else {
            return Ok(());
        };
        let (name, family) = (&tensor.name, &self.config.family);
        Err(Error::unsupported(
            Unsupported::Tensor,
            format!("tensor {name} has no place in a {family} model as it is run here"),
        ))
    }
}
