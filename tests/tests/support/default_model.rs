//! Where the default model is. The command line's tests include this file too.

use std::path::PathBuf;

/// The default model, where `lantern fetch` puts it. None, with a line that says so, where it is not there; under CI
/// that is a failure.
pub fn default_model() -> Option<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let caches = set("LANTERN_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|c| c.join("lantern")))
        .or_else(|| set("HOME").map(|h| h.join(".cache/lantern")));
    let path = caches?.join("models/SmolLM2-135M-Instruct.Q4_1.gguf");
    if path.is_file() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is missing: `cargo verify` fetches it",
        path.display()
    );
    eprintln!(
        "left out: {} is missing; `lantern fetch` brings it",
        path.display()
    );
    None
}
