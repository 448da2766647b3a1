//! Low-rank adapters (LoRA, Hu et al. 2021) from GGUF files, as llama.cpp's converter writes them: y += scale B (A x) beside
//! each layer that one has matrices for.

use std::collections::BTreeMap;

use super::{
    config::Config,
    known,
    layout::Layout,
    weights::{Arrangement, Matrix, PieceLimits},
};
use crate::{
    Error, ModelFile, Result, Unsupported,
    file::TensorInfo,
    graph::{MatrixId, RopeStyle},
};

/// LoRA's matrices, and what each pair of them changes.
pub(crate) struct LoraLayout {
    /// Pairs A and B, each with the tensor that it changes.
    pub pairs: Vec<Pair>,
    /// A and B of each pair, one after the other.
    pub matrices: Vec<Matrix>,
}

/// Low-rank pair A and B beside a tensor of the model.
pub(crate) struct Pair {
    /// The model's matrix that has the tensor.
    pub target: MatrixId,
    /// Which of the tensors of that matrix it is; the first, where it is cut into several.
    pub tensor: usize,
    /// The first row of the tensor in the matrix, where rows do not alternate.
    pub row_start: u32,
    /// Index of A (rank, cols) in its matrices; B (rows, rank) follows it. Of experts, one after the other.
    pub a: usize,
    /// Rows of A, for each expert.
    pub rank: u32,
    /// alpha / rank
    pub scale: f32,
}

/// Place in the model of a tensor, or of some of its rows.
struct Place {
    matrix: MatrixId,
    tensor: usize,
    row_start: u32,
    /// Rows of the tensor in their order in the matrix, the first of some and how many; none where they alternate with
    /// those of another, or are all in the order of the file.
    rows: Vec<(u32, u32)>,
}

/// All of a tensor.
struct Found {
    places: Vec<Place>,
    /// Shape in the file, innermost first.
    shape: Vec<u64>,
}

impl LoraLayout {
    /// Finds where each pair of a file's tensors belongs in a model.
    ///
    /// # Errors
    /// [`Error::BadFile`] where the file is none, or is for other shapes; [`Error::Unsupported`] where it changes what
    /// cannot be changed here.
    pub fn of(
        limits: PieceLimits,
        file: &ModelFile,
        config: &Config,
        layout: &Layout,
    ) -> Result<LoraLayout> {
        if layout
            .vectors
            .iter()
            .any(|vector| !vector.repeats.is_empty())
        {
            return Err(Error::unsupported(
                Unsupported::Lora,
                "the model has factors on its matrices, and LoRA is not run beside those here",
            ));
        }
        let alpha = alpha_of(file, &config.family)?;
        let (mut pairs, mut matrices) = (Vec::new(), Vec::new());
        for (name, [a, b]) in halves(file)? {
            check_order(&name, file, config)?;
            let found = layout.places_of(&name)?;
            let has_biases = |place: &Place| layout.has_biased_units(place.matrix);
            if found.places.iter().any(has_biases) {
                return Err(not_run(
                    &name,
                    "experts' gates and ups have biases, and LoRA is not run beside those here",
                ));
            }
            let rank = rank_of(&name, &a, &b, &found.shape)?;
            // As llama.cpp has it: no alpha is a scale of 1.
            let scale = if alpha == 0.0 {
                1.0
            } else {
                alpha / rank as f32
            };
            let (a, b) = (a.flat()?, b.flat()?);
            for place in found.places {
                pairs.push(Pair {
                    target: place.matrix,
                    tensor: place.tensor,
                    row_start: place.row_start,
                    a: matrices.len(),
                    rank,
                    scale,
                });
                let some = place.rows.iter();
                let some: Vec<_> = some.map(|&(first, count)| b.rows(first, count)).collect();
                let b = if some.is_empty() {
                    vec![b.clone()]
                } else {
                    some
                };
                matrices.push(Matrix::new(
                    limits,
                    vec![a.clone()],
                    Arrangement::Following,
                )?);
                matrices.push(Matrix::new(limits, b, Arrangement::Following)?);
            }
        }
        Ok(LoraLayout { pairs, matrices })
    }
}

/// Alpha of a LoRA, where it is one for models of the family `own`.
fn alpha_of(file: &ModelFile, own: &str) -> Result<f32> {
    let metadata = file.metadata();
    let kind = (
        metadata.text("general.type")?,
        metadata.text("adapter.type")?,
    );
    if kind != (Some("adapter"), Some("lora")) {
        return Err(Error::bad_file(
            "general.type and adapter.type are not adapter and lora: this is no LoRA adapter",
        ));
    }
    let family = metadata.text("general.architecture")?;
    // The folders of `peft` name no family.
    let unnamed = family.is_none() && is_apart(file)?;
    let family = family.unwrap_or_default();
    let row = known::row(family).map_or(family, |row| row.name); // mamba2 is a name of mamba's
    if row != own && !unnamed {
        return Err(Error::bad_file(format!(
            "the adapter is for {family:?} models; this is {own:?}"
        )));
    }
    let alpha = metadata
        .f32("adapter.lora.alpha")?
        .filter(|alpha| alpha.is_finite());
    alpha.ok_or_else(|| Error::bad_file("metadata adapter.lora.alpha is missing"))
}

/// Whether the adapter's rows are in the order of `transformers`, as in the folders of `peft`.
fn is_apart(file: &ModelFile) -> Result<bool> {
    Ok(file.metadata().text("lantern.rope_style")?.is_some())
}

/// The adapter with its rows in the order that those of the model have.
///
/// # Errors
/// [`Error::BadFile`] where the order is no text.
pub fn in_order(file: &ModelFile, config: &Config) -> Result<ModelFile> {
    let head_dim = config.attention().map_or(0, |attention| attention.head_dim);
    if is_apart(file)? && config.rope_style == RopeStyle::Interleaved && head_dim > 0 {
        return Ok(file.with_pairs_side_by_side(head_dim as usize));
    }
    Ok(file.clone())
}

/// LoRA adapters in GGUF have rows in the order of GGUF's models; others are put in the model's by [`in_order`].
fn check_order(name: &str, file: &ModelFile, config: &Config) -> Result<()> {
    if is_apart(file)? {
        return Ok(());
    }
    let rotated = [".attn_q.", ".attn_k."]
        .iter()
        .any(|part| name.contains(part));
    if rotated && config.row.rope_style != config.rope_style {
        return Err(Error::unsupported(
            Unsupported::Lora,
            format!(
                "{name}: the adapter has its rows in the order of GGUF files, and the model is in safetensors; use a GGUF file of the model"
            ),
        ));
    }
    Ok(())
}

/// The tensors by the name of what they change: A and B.
fn halves(file: &ModelFile) -> Result<BTreeMap<String, [TensorInfo; 2]>> {
    let mut found: BTreeMap<String, [Option<TensorInfo>; 2]> = BTreeMap::new();
    for tensor in file.tensors() {
        let ends = [".lora_a", ".lora_b"].map(|end| tensor.name.strip_suffix(end));
        let Some(half) = ends.iter().position(Option::is_some) else {
            let name = &tensor.name;
            return Err(Error::unsupported(
                Unsupported::Lora,
                format!("tensor {name} is neither A nor B of a LoRA adapter"),
            ));
        };
        let base = ends[half].unwrap_or_default().to_owned();
        found.entry(base).or_default()[half] = Some(tensor.clone());
    }
    if found.is_empty() {
        return Err(Error::bad_file("the adapter has no tensors"));
    }
    let whole = |(name, halves): (String, [Option<TensorInfo>; 2])| match halves {
        [Some(a), Some(b)] => Ok((name, [a, b])),
        [a, _] => {
            let missing = if a.is_none() { "lora_a" } else { "lora_b" };
            Err(Error::bad_file(format!(
                "tensor {name}.{missing} is missing"
            )))
        }
    };
    found.into_iter().map(whole).collect()
}

/// The rank of A (rank, cols) and B (rows, rank), of each expert where there are some, checked against the shape `base`.
fn rank_of(name: &str, a: &TensorInfo, b: &TensorInfo, base: &[u64]) -> Result<u32> {
    let (a, b) = (&a.shape, &b.shape);
    let alike = a.len() == base.len() && b.len() == base.len() && a[2..] == base[2..];
    let fits = alike && a[0] == base[0] && b[0] == a[1] && b[1..] == base[1..];
    // A rank beyond the matrix's own is nothing that anyone would train.
    if !fits || !(1..=base[0].max(base[1])).contains(&a[1]) {
        return Err(Error::bad_file(format!(
            "{name}: A is {a:?} and B {b:?}, which do not fit a tensor of {base:?}"
        )));
    }
    let rank = a[1] as u32;
    if base.len() > 2 && !rank.is_multiple_of(4) {
        return Err(Error::unsupported(
            Unsupported::Lora,
            format!(
                "{name}: adapters of experts are run here with ranks that are multiples of 4; this one has {rank}"
            ),
        ));
    }
    Ok(rank)
}

/// The error of an adapter of a tensor that none is run beside here.
fn not_run(name: &str, why: &str) -> Error {
    Error::unsupported(
        Unsupported::Lora,
        format!("adapters of {name} are not run here: {why}"),
    )
}

/// Rows of the tensor `name` in a matrix whose tensors follow each other: wherever some of its cuts do, one place.
fn runs(id: MatrixId, matrix: &Matrix, name: &str, base: u64) -> Vec<Place> {
    let mut places: Vec<Place> = vec![];
    let (mut row_start, mut before) = (0, false);
    for (index, tensor) in matrix.tensors.iter().enumerate() {
        let count = tensor.shape[1] as u32;
        let own = tensor.name == name;
        if own && !before {
            places.push(Place {
                matrix: id,
                tensor: index,
                row_start,
                rows: vec![],
            });
        }
        if own && let Some(place) = places.last_mut() {
            place.rows.push((first_row(tensor, base), count));
        }
        (row_start, before) = (row_start + count, own);
    }
    places
}

/// The first row of a cut of a tensor that begins at `base`.
fn first_row(cut: &TensorInfo, base: u64) -> u32 {
    let row_bytes = (cut.bytes / cut.shape[1].max(1)).max(1);
    ((cut.offset - base) / row_bytes) as u32
}

impl Layout {
    /// Where the tensor `name` lies, if a LoRA can be computed beside it.
    fn places_of(&self, name: &str) -> Result<Found> {
        let named = |tensor: &&TensorInfo| tensor.name == name;
        let has = |matrix: &Matrix| matrix.tensors.iter().any(|tensor| named(&tensor));
        let ids: Vec<MatrixId> = (0..self.matrices.len())
            .filter(|&id| has(&self.matrices[id]))
            .collect();
        let Some(&id) = ids.first() else {
            let mut vectors = self.vectors.iter().flat_map(|vector| &vector.tensors);
            if vectors.any(|tensor| tensor.name == name) {
                return Err(not_run(name, "no vectors are multiplied by it"));
            }
            return Err(Error::bad_file(format!(
                "the adapter changes {name}, which the model does not have"
            )));
        };
        let mut tables = self.tables().chain(self.positions);
        if tables.any(|table| has(&self.matrices[table])) {
            return Err(not_run(name, "it is an embedding"));
        }
        if self.draft.as_ref().is_some_and(|draft| draft.has(name)) {
            return Err(not_run(name, "it is of a draft block"));
        }
        if self.has_heads(id) {
            return Err(not_run(name, "its rows are matrices of heads"));
        }
        let cuts = ids.iter().flat_map(|&id| &self.matrices[id].tensors);
        let cuts: Vec<&TensorInfo> = cuts.filter(named).collect();
        let base = cuts.iter().map(|cut| cut.offset).min().unwrap_or(0);
        let ends = cuts
            .iter()
            .map(|cut| u64::from(first_row(cut, base)) + cut.shape[1]);
        let mut shape = cuts[0].shape.clone();
        shape[1] = ends.max().unwrap_or(0);
        if let Some(count) = self.experts_of(id) {
            shape = vec![shape[0], shape[1] / u64::from(count), u64::from(count)];
        }
        let matrix = &self.matrices[id];
        let places = if matrix.arrangement == Arrangement::Following {
            let all = ids.iter();
            all.flat_map(|&id| runs(id, &self.matrices[id], name, base))
                .collect()
        } else if ids.len() == 1 {
            vec![Place {
                matrix: id,
                tensor: matrix
                    .tensors
                    .iter()
                    .position(|t| named(&t))
                    .unwrap_or_default(),
                row_start: 0,
                rows: vec![],
            }]
        } else {
            return Err(not_run(name, "its rows alternate, in several matrices"));
        };
        Ok(Found { places, shape })
    }

    /// Whether a matrix makes gates and ups of experts, which have biases.
    fn has_biased_units(&self, id: MatrixId) -> bool {
        let mut ffns = self.layers.iter().filter_map(|layer| layer.ffn.as_ref());
        ffns.any(|ffn| ffn.has_biased_units(id))
    }

    /// Whether a matrix has a matrix for each head of a mixer.
    fn has_heads(&self, id: MatrixId) -> bool {
        let mut mixers = self.layers.iter().filter_map(|layer| layer.mixer.as_ref());
        mixers.any(|mixer| mixer.has_heads(id))
    }

    /// How many experts the rows of a matrix are for.
    fn experts_of(&self, id: MatrixId) -> Option<u32> {
        let mut layers = self.layers.iter();
        layers.find_map(|layer| layer.ffn.as_ref()?.experts_of(id))
    }
}
