//! Architectures of `transformers` as a table: a row says what runs one, which keys of `config.json` its code reads, and how
//! its files differ from Llama's.

use super::{encoders, hybrids, json::Object, latents, newer, older, row::Row, spaces};
use crate::{Error, Result, Unsupported, file::short};

/// Every row.
fn rows() -> impl Iterator<Item = &'static Row> {
    let all = [
        older::ROWS,
        newer::ROWS,
        hybrids::ROWS,
        spaces::ROWS,
        latents::ROWS,
        encoders::ROWS,
    ];
    all.into_iter().flatten()
}

/// The row of a configuration.
///
/// # Errors
/// [`Error::Unsupported`] lists what there is.
pub(super) fn row_for(config: &Object) -> Result<&'static Row> {
    let missing = || config.wrong("architectures", "a list of one name");
    let names = config.list("architectures")?.ok_or_else(missing)?;
    let name = names
        .first()
        .and_then(serde_json::Value::as_str)
        .ok_or_else(missing)?;
    row_of(name).ok_or_else(|| {
        let known: Vec<&str> = rows().map(|row| row.architecture).collect();
        let (name, known) = (short(name), known.join(", "));
        Error::unsupported(
            Unsupported::Family,
            format!(
                "models of the architecture {name} are not run from safetensors; known are: {known}"
            ),
        )
        .in_file(&config.label)
    })
}

pub(super) fn row_of(architecture: &str) -> Option<&'static Row> {
    rows().find(|row| row.architecture == architecture)
}
