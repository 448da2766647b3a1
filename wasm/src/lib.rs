//! The wasm-bindgen surface of Lantern: what the package's worker calls. It translates values and errors, and does
//! nothing else. Structured values cross as JSON, tokens and bytes as typed arrays; one call at a time is under way.

mod answer;
mod embed;
mod error;
mod gpu;
mod measure;
mod model;
mod source;

use std::fmt::Write;

use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::wasm_bindgen;

pub use embed::{TextRows, TextScores};
pub use gpu::Gpu;
pub use model::{ConversationTokens, LoadedModel, header};
pub use source::ByteSource;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(text: &str);
}

/// Has the console say where the engine failed, should it: all that JavaScript sees by itself is `unreachable`.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
}

/// The version of Lantern, as its packages carry it.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// The file of a repository with these names that is its model; none where the names do not say.
#[wasm_bindgen]
#[expect(
    clippy::needless_pass_by_value,
    reason = "wasm-bindgen lends no lists of texts"
)]
pub fn preferred_file(names: Vec<String>) -> Option<String> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    lantern_engine::file::preferred_file(&names).map(str::to_owned)
}

/// Bytes of memory that wasm holds; it grows and never shrinks.
#[wasm_bindgen]
pub fn memory_bytes() -> f64 {
    let pages = js_sys::Reflect::get(&wasm_bindgen::memory(), &"buffer".into());
    let bytes = pages.and_then(|buffer| js_sys::Reflect::get(&buffer, &"byteLength".into()));
    bytes
        .ok()
        .and_then(|bytes| bytes.as_f64())
        .unwrap_or_default()
}

/// SHA-256 of bytes that come in pieces, which WebCrypto cannot do.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct Sha256Hasher(Sha256);

#[wasm_bindgen]
impl Sha256Hasher {
    /// A hash of nothing yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Sha256Hasher {
        Sha256Hasher::default()
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes so far, in hexadecimal; then it starts anew.
    pub fn digest(&mut self) -> String {
        let mut text = String::new();
        for byte in self.0.finalize_reset() {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_has_three_numbers() {
        let numbers = version()
            .split('.')
            .filter(|part| part.parse::<u32>().is_ok())
            .count();
        assert_eq!(numbers, 3);
    }

    #[test]
    fn the_hash_is_that_of_the_standard() {
        let mut hasher = Sha256Hasher::new();
        hasher.update(b"a");
        hasher.update(b"bc");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hasher.digest(), abc);
        hasher.update(b"abc");
        assert_eq!(hasher.digest(), abc);
    }
}
