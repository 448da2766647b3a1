//! Meaning of MODEL on the command line: a path, of a GGUF file or of a folder with safetensors, `user/repo[:file]` on the
//! hub, or nothing, which is the default model.

use std::path::PathBuf;

use lantern_engine::ModelFile;

use crate::{
    download::{default_model, hub::Reference},
    failure::{Failure, Result},
};

/// The argument, the same for every verb where the model may be left out.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// A GGUF file, a folder with safetensors, or user/repo[:file] on the Hugging Face hub; without one, SmolLM2-135M-Instruct is used
    #[arg(value_name = "MODEL")]
    pub model: Option<String>,
}

/// The argument of verbs that look into a model, where none would be an odd thing to ask.
#[derive(Debug, clap::Args)]
pub struct NamedModelArgs {
    /// A GGUF file, a folder with safetensors, or user/repo[:file] on the Hugging Face hub
    #[arg(value_name = "MODEL")]
    pub model: String,
}

/// The path of the model file, downloaded where it is missing. What exists as a file is never looked for on the hub.
pub fn resolve(model: Option<&str>) -> Result<PathBuf> {
    let Some(text) = model else {
        return default_model::fetch();
    };
    let path = PathBuf::from(text);
    if path.exists() {
        return Ok(path);
    }
    match Reference::parse(text) {
        Some(reference) if !looks_like_a_file(text) => reference.fetch(),
        _ => Err(Failure::Message(format!(
            "there is no file {text}; a model is a GGUF file, a folder with safetensors, or user/repo[:file] on the Hugging Face hub"
        ))),
    }
}

/// The model file, opened and its header checked.
pub fn open(model: Option<&str>) -> Result<ModelFile> {
    Ok(ModelFile::open(&resolve(model)?)?)
}

/// `models/x.gguf` is a path that does not exist, and no repository.
fn looks_like_a_file(text: &str) -> bool {
    let text = text.to_lowercase();
    !text.contains(':')
        && [".gguf", ".safetensors", ".json"]
            .iter()
            .any(|ending| text.ends_with(ending))
}
