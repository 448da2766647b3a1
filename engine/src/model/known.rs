//! The families that are known here, by the name that a file has for its own.

use super::{
    encoders::ENCODERS,
    families::{FAMILIES, Family},
    state_spaces::STATE_SPACES,
};
use crate::{Error, Result, Unsupported, file::Metadata};

/// The row of the family `name`.
pub fn row(name: &str) -> Option<&'static Family> {
    let is = |f: &&Family| f.name == name || f.aliases.contains(&name);
    all().find(is)
}

fn all() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().chain(STATE_SPACES).chain(ENCODERS)
}

/// The row that the file asks for, and the prefix of its keys.
pub fn family(metadata: &Metadata) -> Result<(&'static Family, &str)> {
    let name = metadata.text("general.architecture")?;
    let name = name.ok_or_else(|| Error::bad_file("metadata general.architecture is missing"))?;
    let found = row(name).ok_or_else(|| {
        let known: Vec<&str> = all().map(|f| f.name).collect();
        Error::unsupported(
            Unsupported::Family,
            format!(
                "models of the family {name:?} are not known here; known are: {}",
                known.join(", ")
            ),
        )
    })?;
    Ok((found, name))
}
