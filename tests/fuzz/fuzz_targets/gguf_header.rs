//! Fuzzes the reader of GGUF headers: whatever the bytes, it returns, soon and with little memory,
//! and what it lets through is sound.
//!
//! With cargo-fuzz, from the project's root, for a minute:
//!
//! ```sh
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none gguf_header -- -max_total_time=60 -rss_limit_mb=512 -timeout=1
//! ```
//!
//! `corpus/gguf_header` holds headers of reference files without their data, and a small one with a
//! value of every type. New finds of a run land there too: keep those that a fix was made for,
//! remove the rest (`git clean -f tests/fuzz/corpus`).
#![no_main]

use lantern_engine::{
    ModelFile,
    file::{Header, Source},
};
use pollster::block_on;
use libfuzzer_sys::fuzz_target;

/// As though the data followed, so that a header alone can be sound.
const DATA: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let file_len = bytes.len() as u64 + DATA;
    if let Ok(header) = Header::parse(bytes, file_len) {
        check(&header, file_len);
    }
    if let Ok(file) = ModelFile::from_source(Source::from_bytes(bytes.to_vec())) {
        for tensor in file.tensors() {
            let data = block_on(file.data(tensor, 0..tensor.bytes))
                .expect("a checked tensor lies inside the file");
            assert_eq!(data.len() as u64, tensor.bytes);
        }
        for value in file.metadata().0.values() {
            assert!(value.to_string().len() < 1000, "a value prints in a line");
        }
    }
});

fn check(header: &Header, file_len: u64) {
    let mut places: Vec<(u64, u64)> = header
        .tensors
        .iter()
        .map(|t| (t.offset, t.offset + t.bytes))
        .collect();
    places.sort_unstable();
    assert!(
        places.windows(2).all(|pair| pair[0].1 <= pair[1].0),
        "tensors overlap"
    );
    for tensor in &header.tensors {
        assert!(
            tensor.offset >= header.data_offset && tensor.offset + tensor.bytes <= file_len,
            "{tensor:?} lies outside"
        );
        assert_eq!((tensor.offset - header.data_offset) % header.alignment, 0);
        assert_eq!(
            tensor.weights() / tensor.kind.block_weights() * tensor.kind.block_bytes(),
            tensor.bytes
        );
        assert_eq!(header.tensor(&tensor.name), Some(tensor));
    }
}
