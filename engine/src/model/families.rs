//! The families as a table: a row says what a family adds to Llama. What a file says itself (tied heads, RoPE factors)
//! is read from its tensors, not from here.

use crate::{Error, Result, file::Metadata};

/// What sets a family apart from Llama. Each field is one wish; so far Llama's own are all there are.
#[derive(Debug)]
pub struct Family {
    /// `general.architecture` in GGUF, also the prefix of its keys.
    pub name: &'static str,
}

/// Llama (Touvron et al. 2023) and what shares its files: Llama 1–3, Mistral, SmolLM and SmolLM2, TinyLlama.
pub const LLAMA: Family = Family { name: "llama" };

/// Every family.
pub const FAMILIES: &[Family] = &[LLAMA];

/// The row that the file asks for.
pub fn family(metadata: &Metadata) -> Result<&'static Family> {
    let name = metadata.text("general.architecture")?;
    let name =
        name.ok_or_else(|| Error::BadFile("metadata general.architecture is missing".into()))?;
    FAMILIES.iter().find(|f| f.name == name).ok_or_else(|| {
        let known: Vec<&str> = FAMILIES.iter().map(|f| f.name).collect();
        Error::Unsupported(format!(
            "models of the family {name:?} are not known here; known are: {}",
            known.join(", ")
        ))
    })
}
