//! Bytes that TypeScript brings: from the network, the cache, a file that was picked.

use std::{ops::Range, pin::Pin};

use js_sys::Uint8Array;
use lantern_engine::{
    Result,
    file::{Remote, Source},
};
use wasm_bindgen::prelude::*;

use crate::error::caught;

#[wasm_bindgen]
extern "C" {
    /// `ByteSource` of the package's `source` folder.
    pub type ByteSource;

    #[wasm_bindgen(method, getter)]
    fn label(this: &ByteSource) -> String;

    #[wasm_bindgen(method, getter)]
    fn size(this: &ByteSource) -> f64;

    #[wasm_bindgen(method, catch)]
    async fn read(
        this: &ByteSource,
        offset: f64,
        length: f64,
    ) -> std::result::Result<Uint8Array, JsValue>;
}

struct Brought(ByteSource);

impl Remote for Brought {
    fn read(&self, range: Range<u64>) -> Pin<Box<dyn Future<Output = Result<Vec<u8>>> + '_>> {
        Box::pin(async move {
            let length = (range.end - range.start) as f64;
            let bytes = self.0.read(range.start as f64, length).await;
            bytes
                .map(|bytes| bytes.to_vec())
                .map_err(|error| caught(&error))
        })
    }
}

/// As the engine has sources.
pub fn source(bytes: ByteSource) -> Source {
    let (label, size) = (bytes.label(), bytes.size() as u64);
    Source::remote(label, size, Box::new(Brought(bytes)))
}
