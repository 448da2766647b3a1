//! The wasm-bindgen surface of Lantern.
