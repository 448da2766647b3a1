//! A model file, or the files of one that is split: sources, and the header that was read from them. Answers what the
//! file holds; what it means is the model's business.

use std::{borrow::Cow, collections::HashMap, ops::Range, path::Path, sync::Arc};

use super::{
    Header, KeyUse, Metadata, Source, TensorInfo, hugging_face, noise::Noise, packed::Packed,
    split, strided::Strided,
};
use crate::{Error, Result};

/// Bytes of a remote file that are read to find its header, and by how much more each time it is longer.
const HEAD_BYTES: u64 = 1 << 20;
const HEAD_GROWTH: u64 = 3;

/// A model file: its header, read and checked; no weights are read yet. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ModelFile {
    label: String,
    sources: Arc<Vec<Source>>,
    header: Arc<Header>,
    /// Tensors that are made of several, one after the other; their offsets count from the first's start.
    joints: HashMap<String, Vec<TensorInfo>>,
    /// Tensors whose numbers lie in another order; their offsets count from their own start.
    strided: HashMap<String, Strided>,
    /// Tensors whose codes and scales lie apart.
    packed: HashMap<String, Packed>,
    /// Values of a head, by the name of a matrix whose rows have the halves of pairs apart, and are wanted side by side.
    apart: HashMap<String, usize>,
    /// Tensors that others are made of, which are quantised when they are read; their offsets count from their own start.
    originals: HashMap<String, TensorInfo>,
    /// Random units that its weights are made of, where they are random.
    noise: Option<Arc<Noise>>,
    /// Keys of the files of a folder, and what becomes of each.
    key_uses: Option<Vec<KeyUse>>,
}

impl ModelFile {
    /// Maps the file at `path`, and all other parts where it is the first of a split model, and reads the header. Or the
    /// folder of a model in safetensors, by its own name or that of a file in it. Blocks; [`ModelFile::read`] does not. Errors name the path; see
    /// [`Source::open`] and [`Header::parse`].
    pub fn open(path: &Path) -> Result<ModelFile> {
        if let Some(file) = hugging_face::open(path)? {
            return Ok(file);
        }
        let paths = split::paths(path)?;
        let sources: Result<Vec<Source>> = paths.iter().map(|path| Source::open(path)).collect();
        let sources = sources?;
        let headers: Result<Vec<Header>> = sources.iter().map(header).collect();
        ModelFile::join(headers?, sources)
    }

    /// Reads the header of `source`, whose bytes are here.
    pub fn from_source(source: Source) -> Result<ModelFile> {
        ModelFile::join(vec![header(&source)?], vec![source])
    }

    /// Reads the headers of a model's files, in their order, wherever they are.
    pub async fn read(sources: Vec<Source>) -> Result<ModelFile> {
        let mut headers = Vec::new();
        for source in &sources {
            headers.push(remote_header(source).await?);
        }
        ModelFile::join(headers, sources)
    }

    /// Makes a file of a header that is in none of its sources.
    pub(super) fn of_parts(
        label: String,
        header: Header,
        sources: Vec<Source>,
        joints: HashMap<String, Vec<TensorInfo>>,
    ) -> ModelFile {
        ModelFile {
            label,
            sources: Arc::new(sources),
            header: Arc::new(header),
            joints,
            strided: HashMap::new(),
            packed: HashMap::new(),
            apart: HashMap::new(),
            originals: HashMap::new(),
            noise: None,
            key_uses: None,
        }
    }

    /// Has random weights in the place of its own.
    pub(super) fn with_noise(self, noise: Arc<Noise>) -> ModelFile {
        let noise = Some(noise);
        ModelFile { noise, ..self }
    }

    /// Has tensors whose codes and scales lie apart.
    #[cfg(feature = "safetensors")]
    pub(super) fn with_packed(self, packed: HashMap<String, Packed>) -> ModelFile {
        ModelFile { packed, ..self }
    }

    /// Has tensors whose numbers lie in another order.
    #[cfg(feature = "safetensors")]
    pub(super) fn with_strided(self, strided: HashMap<String, Strided>) -> ModelFile {
        ModelFile { strided, ..self }
    }

    /// Has the files of a folder, whose settings have these keys.
    #[cfg(feature = "safetensors")]
    pub(super) fn with_key_uses(self, key_uses: Vec<KeyUse>) -> ModelFile {
        let key_uses = Some(key_uses);
        ModelFile { key_uses, ..self }
    }

    /// Has the rows of queries' and keys' B side by side, pair by pair, where they are half a head of `head_dim` apart.
    pub(crate) fn with_pairs_side_by_side(&self, head_dim: usize) -> ModelFile {
        let ends = ["attn_q.weight.lora_b", "attn_k.weight.lora_b"];
        let mut file = self.clone();
        for tensor in self.tensors() {
            let whole = tensor
                .shape
                .get(1)
                .is_some_and(|rows| rows.is_multiple_of(head_dim as u64));
            if whole && ends.iter().any(|end| tensor.name.ends_with(end)) {
                file.apart.insert(tensor.name.clone(), head_dim);
            }
        }
        file
    }

    /// Keys of the files of a folder, and what becomes of each; none where the model is a GGUF file.
    pub(crate) fn folder_key_uses(&self) -> Option<&[KeyUse]> {
        self.key_uses.as_deref()
    }

    /// Random units that the weights are made of, where they are random, and none is made of another type.
    pub(crate) fn noise(&self) -> Option<&Noise> {
        self.noise.as_deref().filter(|_| self.originals.is_empty())
    }

    /// Has tensors of other types in the place of its own, and keeps what each is made of.
    pub(super) fn replaced(mut self, tensors: Vec<TensorInfo>) -> ModelFile {
        let header = Arc::make_mut(&mut self.header);
        for (from, to) in header.tensors.iter_mut().zip(tensors) {
            if from.kind != to.kind {
                let (offset, part) = (0, 0);
                let original = std::mem::replace(from, TensorInfo { offset, part, ..to });
                let name = original.name.clone();
                self.originals.entry(name).or_insert(original);
            }
        }
        self
    }

    fn join(headers: Vec<Header>, sources: Vec<Source>) -> Result<ModelFile> {
        let label = sources.first().map_or("model", Source::label).to_owned();
        let header = split::join(headers);
        let header = header.map_err(|error| error.in_file(&label))?;
        Ok(ModelFile::of_parts(label, header, sources, HashMap::new()))
    }

    /// Everything the header says; for a split model the first file's, with the tensors of all.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Hyperparameters, vocabulary, chat template.
    pub fn metadata(&self) -> &Metadata {
        &self.header.metadata
    }

    /// The directory of tensors, in the file's order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.header.tensors
    }

    /// The tensor called `name`, if there is one.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.header.tensor(name)
    }

    /// Stored bytes of a tensor of this file: `range` of its `tensor.bytes`.
    pub async fn data(&self, tensor: &TensorInfo, range: Range<u64>) -> Result<Cow<'_, [u8]>> {
        let range = tensor.offset + range.start..tensor.offset + range.end;
        match self.originals.get(&tensor.name) {
            Some(original) => self.quantised_rows(original, tensor, range).await,
            None => self.stored(tensor, range).await,
        }
    }

    /// Bytes as they are stored, from where the tensor's offset counts.
    pub(super) async fn stored(
        &self,
        tensor: &TensorInfo,
        Range { start, end }: Range<u64>,
    ) -> Result<Cow<'_, [u8]>> {
        if let Some(strided) = self.strided.get(&tensor.name) {
            let range = start - tensor.offset..end - tensor.offset;
            return Ok(Cow::Owned(strided.read(&self.sources, range).await?));
        }
        if let Some(packed) = self.packed.get(&tensor.name) {
            let range = start - tensor.offset..end - tensor.offset;
            return Ok(Cow::Owned(packed.read(&self.sources, range).await?));
        }
        if let Some(&head_dim) = self.apart.get(&tensor.name) {
            let all = self.sources[tensor.part].read(tensor.offset, tensor.bytes);
            let (start, end) = (start - tensor.offset, end - tensor.offset);
            let all = side_by_side(tensor, &all.await?, head_dim);
            return Ok(Cow::Owned(all[start as usize..end as usize].to_vec()));
        }
        let Some(parts) = self.joints.get(&tensor.name) else {
            return self.sources[tensor.part].read(start, end - start).await;
        };
        let mut bytes = Vec::with_capacity((end - start) as usize);
        let mut at = 0;
        for part in parts {
            let (first, last) = (start.max(at), end.min(at + part.bytes));
            if first < last {
                let source = &self.sources[part.part];
                let some = source.read(part.offset + first - at, last - first);
                bytes.extend_from_slice(&some.await?);
            }
            at += part.bytes;
        }
        Ok(Cow::Owned(bytes))
    }

    /// Its weights lie in files on this machine: reading them again costs nothing but time.
    pub(crate) fn is_local(&self) -> bool {
        self.noise.is_none() && self.sources.iter().all(Source::is_mapped)
    }

    /// Lets go of what the system keeps mapped of the file; it reads those pages again where they are touched again.
    pub(crate) fn release(&self) {
        self.sources.iter().for_each(Source::release);
    }

    /// Name of the file in messages: its path, or its folder's.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Bytes of the file, of all its parts.
    pub fn len(&self) -> u64 {
        self.sources.iter().map(Source::len).sum()
    }

    /// Never: a file without a byte has no header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name of the file's format: `GGUF version 3`, `safetensors`.
    pub fn format(&self) -> String {
        match self.header.version {
            0 => "safetensors".to_owned(),
            version => format!("GGUF version {version}"),
        }
    }

    /// The version of GGUF; 0 for what is none.
    pub fn version(&self) -> u32 {
        self.header.version
    }
}

/// A matrix's bytes with the rows of each head's pairs side by side, as GGUF has them in models of the family `llama`, from
/// all of what is stored, which has them half a head apart.
fn side_by_side(tensor: &TensorInfo, all: &[u8], head_dim: usize) -> Vec<u8> {
    let row_bytes = tensor.shape[0] as usize * tensor.kind.block_bytes() as usize;
    let rows = all.chunks_exact(row_bytes).enumerate();
    let from = |row: usize| {
        let (head, within) = (row / head_dim, row % head_dim);
        head * head_dim + within % 2 * (head_dim / 2) + within / 2
    };
    rows.flat_map(|(row, _)| &all[from(row) * row_bytes..][..row_bytes])
        .copied()
        .collect()
}

/// The header of a source whose bytes are here.
fn header(source: &Source) -> Result<Header> {
    let all = source.all();
    let all = all.ok_or_else(|| Error::BadInput(format!("{} is not here yet", source.label())))?;
    Header::parse(all, source.len()).map_err(|error| error.in_file(source.label()))
}

/// The header of any source: more of its start is read until the header is whole.
async fn remote_header(source: &Source) -> Result<Header> {
    if source.all().is_some() {
        return header(source);
    }
    let mut head = Vec::new();
    let mut more = HEAD_BYTES;
    loop {
        let start = head.len() as u64;
        let length = more.min(source.len() - start);
        head.extend_from_slice(&source.read(start, length).await?);
        let parsed = Header::parse_start(&head, source.len());
        if let Some(header) = parsed.map_err(|error| error.in_file(source.label()))? {
            return Ok(header);
        }
        more = head.len() as u64 * HEAD_GROWTH;
    }
}
