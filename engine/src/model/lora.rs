//! Low-rank adapters (LoRA, Hu et al. 2021) from GGUF files, as llama.cpp's converter writes them: y += scale B (A x) beside
//! each layer that one has matrices for. Sessions take and leave them; the model's weights stay as they are.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use xxhash_rust::xxh3::Xxh3;

use super::{
    block::{Ffn, MatrixId},
    config::Config,
    families::FAMILIES,
    load::{Loaded, Model},
    weights::{Matrix, Stored},
};
use crate::{
    Error, ModelFile, Result,
    file::TensorInfo,
    gpu::{buffer::Upload, pipeline::Found},
};

/// An adapter on a model's GPU; cheap to clone.
#[derive(Clone)]
pub struct Adapter(pub(crate) Arc<Lora>);

pub(crate) struct Lora {
    /// Of the model that it was loaded for.
    model: String,
    /// Of all bytes of its matrices.
    hash: u64,
    pub pairs: Vec<Pair>,
    pub matrices: Vec<Matrix>,
    stored: Vec<Vec<Stored>>,
}

/// What is added beside a tensor of the model.
pub(crate) struct Pair {
    /// The model's matrix that has the tensor.
    pub target: MatrixId,
    /// Which of the tensors of that matrix it is.
    pub tensor: usize,
    /// The first row of the tensor in the matrix, where rows do not alternate.
    pub row_start: u32,
    /// Index of A (rank, cols) in the adapter's matrices; B (rows, rank) follows it.
    pub a: usize,
    /// alpha / rank
    pub scale: f32,
}

impl Lora {
    /// A plane of a piece of a matrix.
    pub fn weights(&self, matrix: usize, piece: usize, plane: &str) -> Found<'_> {
        self.stored[matrix][piece].plane(&self.matrices[matrix], piece, plane)
    }

    /// The largest rank.
    pub fn rank(&self) -> u32 {
        self.pairs
            .iter()
            .map(|pair| self.matrices[pair.a].rows)
            .max()
            .unwrap_or(0)
    }
}

impl Model {
    /// Brings an adapter to the GPU.
    ///
    /// # Errors
    /// [`Error::BadFile`] where the file is none, or is for other shapes; [`Error::Unsupported`] where it changes what
    /// cannot be changed here.
    pub async fn adapter(&self, file: &ModelFile) -> Result<Adapter> {
        let model = &self.0;
        let metadata = file.metadata();
        let kind = (
            metadata.text("general.type")?,
            metadata.text("adapter.type")?,
        );
        if kind != (Some("adapter"), Some("lora")) {
            return Err(Error::BadFile(
                "general.type and adapter.type are not adapter and lora: this is no LoRA adapter"
                    .into(),
            ));
        }
        let family = metadata.text("general.architecture")?.unwrap_or_default();
        if family != model.config.family {
            let own = &model.config.family;
            return Err(Error::BadFile(format!(
                "the adapter is for {family:?} models; this is {own:?}"
            )));
        }
        let alpha = metadata
            .f32("adapter.lora.alpha")?
            .filter(|alpha| alpha.is_finite());
        let alpha =
            alpha.ok_or_else(|| Error::BadFile("metadata adapter.lora.alpha is missing".into()))?;
        let (mut pairs, mut matrices) = (Vec::new(), Vec::new());
        for (name, [a, b]) in halves(file)? {
            check_order(&name, &model.config)?;
            let (target, tensor, row_start) = model.place_of(&name)?;
            let (a, b) = checked(&name, a, b, &model.layout.matrices[target].tensors[tensor])?;
            let scale = alpha / a.shape[1] as f32;
            pairs.push(Pair {
                target,
                tensor,
                row_start,
                a: matrices.len(),
                scale,
            });
            matrices.push(Matrix::new(&model.engine, vec![a], false)?);
            matrices.push(Matrix::new(&model.engine, vec![b], false)?);
        }
        let mut upload = Upload::new(&model.engine);
        let mut stored = Vec::new();
        let mut hash = Xxh3::new();
        for matrix in &matrices {
            let mut each = |bytes: &[u8]| {
                hash.update(bytes);
                ControlFlow::Continue(())
            };
            stored.push(
                matrix
                    .load_all(&model.engine, file, &mut upload, &mut each)
                    .await?,
            );
        }
        upload.finish().await?;
        Ok(Adapter(Arc::new(Lora {
            model: model.fingerprint(),
            hash: hash.digest(),
            pairs,
            matrices,
            stored,
        })))
    }
}

/// GGUF adapters have rows in the order of GGUF's models.
fn check_order(name: &str, config: &Config) -> Result<()> {
    let family = FAMILIES.iter().find(|family| family.name == config.family);
    let turned = [".attn_q.", ".attn_k."]
        .iter()
        .any(|part| name.contains(part));
    if turned && family.is_some_and(|family| family.pairs != config.rope_pairs) {
        return Err(Error::Unsupported(format!(
            "{name}: the adapter has its rows in the order of GGUF files, and the model is in safetensors; use a GGUF file of the model"
        )));
    }
    Ok(())
}

impl Adapter {
    /// Tells it from any other.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{:016x}", self.0.hash)
    }

    /// Whether it was loaded for `model`.
    pub(crate) fn is_for(&self, model: &Loaded) -> bool {
        self.0.model == model.fingerprint()
    }
}

/// The tensors by the name of what they change: A and B.
fn halves(file: &ModelFile) -> Result<BTreeMap<String, [TensorInfo; 2]>> {
    let mut found: BTreeMap<String, [Option<TensorInfo>; 2]> = BTreeMap::new();
    for tensor in file.tensors() {
        let ends = [".lora_a", ".lora_b"].map(|end| tensor.name.strip_suffix(end));
        let Some(half) = ends.iter().position(Option::is_some) else {
            let name = &tensor.name;
            return Err(Error::Unsupported(format!(
                "tensor {name} is neither A nor B of a LoRA adapter"
            )));
        };
        let base = ends[half].unwrap_or_default().to_owned();
        found.entry(base).or_default()[half] = Some(tensor.clone());
    }
    if found.is_empty() {
        return Err(Error::BadFile("the adapter has no tensors".into()));
    }
    let whole = |(name, halves): (String, [Option<TensorInfo>; 2])| match halves {
        [Some(a), Some(b)] => Ok((name, [a, b])),
        [a, _] => {
            let missing = if a.is_none() { "lora_a" } else { "lora_b" };
            Err(Error::BadFile(format!(
                "tensor {name}.{missing} is missing"
            )))
        }
    };
    found.into_iter().map(whole).collect()
}

/// A (rank, cols) and B (rows, rank), where their shapes are those.
fn checked(
    name: &str,
    a: TensorInfo,
    b: TensorInfo,
    base: &TensorInfo,
) -> Result<(TensorInfo, TensorInfo)> {
    let matrices = a.shape.len() == 2 && b.shape.len() == 2;
    let fits = matrices
        && a.shape[0] == base.shape[0]
        && b.shape[1] == base.shape[1]
        && a.shape[1] == b.shape[0];
    // A rank beyond the matrix's own is nothing that anyone would train.
    let sane = matrices && a.shape[1] > 0 && a.shape[1] <= base.shape[0].max(base.shape[1]);
    if !fits || !sane {
        let (a, b, base) = (&a.shape, &b.shape, &base.shape);
        return Err(Error::BadFile(format!(
            "{name}: A is {a:?} and B {b:?}, which do not fit a tensor of {base:?}"
        )));
    }
    Ok((a, b))
}

impl Loaded {
    /// The matrix that has the tensor `name`, which of its tensors that is, and its first row there.
    fn place_of(&self, name: &str) -> Result<(MatrixId, usize, u32)> {
        let named = |tensor: &TensorInfo| tensor.name == name;
        let mut matrices = self.layout.matrices.iter();
        let Some(id) = matrices.position(|matrix| matrix.tensors.iter().any(named)) else {
            return Err(Error::BadFile(format!(
                "the adapter changes {name}, which the model does not have"
            )));
        };
        let tensors = &self.layout.matrices[id].tensors;
        let places: Vec<usize> = (0..tensors.len()).filter(|&i| named(&tensors[i])).collect();
        if places.len() > 1 || !self.changeable().contains(&id) {
            return Err(Error::Unsupported(format!(
                "adapters of {name} are not run here, only those of plain matrices within blocks"
            )));
        }
        let before = tensors[..places[0]].iter();
        Ok((id, places[0], before.map(|t| t.shape[1] as u32).sum()))
    }

    /// Matrices beside which an adapter's can be computed.
    fn changeable(&self) -> Vec<MatrixId> {
        let mut all = Vec::new();
        for layer in &self.layout.layers {
            all.extend(layer.qkv.iter().map(|(id, _)| *id));
            all.push(layer.attention_output.matrix);
            match &layer.ffn {
                Ffn::Gated(gate_up, down) => {
                    all.extend(gate_up.first().filter(|_| gate_up.len() == 1));
                    all.push(down.matrix);
                }
                Ffn::Plain(up, down) => all.extend([up.matrix, down.matrix]),
                Ffn::Experts(..) => {}
            }
        }
        all
    }
}
