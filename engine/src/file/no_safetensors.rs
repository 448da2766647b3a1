//! Stands in the place of `hugging_face` where the feature `safetensors` is left out: refuses what that reads.

use std::path::Path;

use super::ModelFile;
use crate::{Error, Result, Unsupported};

/// Refuses a folder with `config.json` and files that lie in one. None for any other path.
///
/// # Errors
/// [`Error::Unsupported`] names the path and the feature.
pub(super) fn open(path: &Path) -> Result<Option<ModelFile>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_file = [".safetensors", ".safetensors.index.json"].iter();
    let is_file = is_file.into_iter().any(|ending| name.ends_with(ending));
    if is_file || name == "config.json" || path.join("config.json").is_file() {
        return Err(Error::unsupported(
            Unsupported::Feature,
            format!(
                "{} is a model in safetensors, and this program was built without the feature `safetensors` of lantern-engine",
                path.display()
            ),
        ));
    }
    Ok(None)
}
