//! A model file: a source, and the header that was read from it. Answers what the file holds; what
//! it means is the model's business.

use std::path::Path;

use super::{Header, Metadata, Source, TensorInfo};
use crate::{ChatTemplate, Config, Error, Result, Tokenizer};

/// A model file: its header, read and checked; no weights are read yet.
#[derive(Debug)]
pub struct ModelFile {
    source: Source,
    header: Header,
}

impl ModelFile {
    /// Maps the file at `path` and reads its header. Errors name the path; see [`Source::open`] and
    /// [`Header::parse`].
    pub fn open(path: &Path) -> Result<ModelFile> {
        ModelFile::from_source(Source::open(path)?)
    }

    /// Reads the header of `source`.
    pub fn from_source(source: Source) -> Result<ModelFile> {
        let header = Header::parse(source.all(), source.len()).map_err(|error| match error {
            Error::BadFile(message) => Error::BadFile(format!("{}: {message}", source.label())),
            Error::Unsupported(message) => {
                Error::Unsupported(format!("{}: {message}", source.label()))
            }
            other => other,
        })?;
        Ok(ModelFile { source, header })
    }

    /// Everything the header says.
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

    /// The stored bytes of a tensor of this file: `tensor.bytes` of them.
    pub fn data(&self, tensor: &TensorInfo) -> Result<&[u8]> {
        self.source.read(tensor.offset, tensor.bytes)
    }

    /// What to call the file in a message: its path.
    pub fn label(&self) -> &str {
        self.source.label()
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.source.len()
    }

    /// Never: a file without a byte has no header.
    pub fn is_empty(&self) -> bool {
        self.source.is_empty()
    }

    /// The model's numbers.
    pub fn config(&self) -> Result<Config> {
        Config::of(self)
    }

    /// The tokenizer; an error where the file has none that is known here.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Tokenizer::from_metadata(self.metadata())
    }

    /// The chat template, where the file has one.
    pub fn chat_template(&self) -> Result<Option<ChatTemplate>> {
        ChatTemplate::from_metadata(self.metadata())
    }

    /// The version of GGUF.
    pub fn version(&self) -> u32 {
        self.header.version
    }
}
