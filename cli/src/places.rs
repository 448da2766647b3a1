//! Where Lantern keeps things on this system: downloaded models, measurements of adapters, and the history of chat.

use std::path::PathBuf;

use etcetera::BaseStrategy;

use crate::failure::{Failure, Result};

/// The folder of downloaded models: in `$LANTERN_CACHE`, else `$XDG_CACHE_HOME/lantern`, else `~/.cache/lantern`
/// (on Windows, among the user's local application data).
pub fn models() -> Result<PathBuf> {
    Ok(cache()?.join("models"))
}

/// The folder of what was measured of adapters, beside that of the models.
pub fn tuning() -> Result<PathBuf> {
    Ok(cache()?.join("tuning"))
}

fn cache() -> Result<PathBuf> {
    let chosen = std::env::var_os("LANTERN_CACHE").filter(|value| !value.is_empty());
    Ok(match chosen {
        Some(folder) => PathBuf::from(folder),
        None => strategy()?.cache_dir().join("lantern"),
    })
}

/// The file of lines typed in chat. None where this system has no place for it.
pub fn history() -> Option<PathBuf> {
    Some(
        strategy()
            .ok()?
            .data_dir()
            .join("lantern")
            .join("history.txt"),
    )
}

fn strategy() -> Result<impl BaseStrategy> {
    etcetera::choose_base_strategy().map_err(|error| {
        let hint = "set LANTERN_CACHE to a folder that can be written";
        Failure::Message(format!("no folder for downloaded models: {error}; {hint}"))
    })
}
