//! Settings of a model, key by key: read, or passed over for a reason.

use serde::Serialize;

/// Key of a model's settings, and what becomes of it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct KeyUse {
    /// Key as the file has it; in a folder behind the file's name, `config.json: hidden_size`.
    pub key: String,
    /// Reason why nothing reads it; none where it is read.
    pub passed_over: Option<String>,
}

impl KeyUse {
    /// Key that is read, or passed over for a reason.
    pub(crate) fn new(key: &str, passed_over: Option<&str>) -> KeyUse {
        KeyUse {
            key: key.to_owned(),
            passed_over: passed_over.map(str::to_owned),
        }
    }
}
