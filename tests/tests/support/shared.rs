//! Where other people's reference files are, which are not part of the project: `shared/reference` beside it.

use std::path::{Path, PathBuf};

/// The folder `name` of the shared references. None, with a line that says so, where it is not there; in CI that is a failure.
pub fn reference(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/reference")
        .join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is missing, and CI must not pass without it",
        folder.display()
    );
    eprintln!("left out: {} is missing", folder.display());
    None
}
