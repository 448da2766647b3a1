//! GGUF files that other programs wrote are read, and say what those programs say. Not what comes
//! out of a model: headers only.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use lantern_engine::{
    ModelFile,
    file::{Header, Value},
};
use pollster::block_on;

#[test]
fn every_reference_model_is_read() {
    for folder in ["families", "formats"] {
        let paths = models(
            &Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("reference")
                .join(folder),
        );
        assert!(paths.len() >= 16, "{folder}: {} files", paths.len());
        for path in paths {
            let file = ModelFile::open(&path).unwrap();
            let name = path.file_stem().and_then(OsStr::to_str).unwrap();
            assert!(!file.tensors().is_empty(), "{name}");
            assert!(
                file.metadata()
                    .text("general.architecture")
                    .unwrap()
                    .is_some(),
                "{name}"
            );
            // Nothing is left over: the last tensor ends where the file does, up to padding.
            let end = file
                .tensors()
                .iter()
                .map(|tensor| tensor.offset + tensor.bytes)
                .max()
                .unwrap();
            assert!(
                file.len() - end < file.header().alignment,
                "{name}: {} bytes after {end}",
                file.len() - end
            );
            for tensor in file.tensors() {
                assert_eq!(
                    block_on(file.data(tensor, 0..tensor.bytes)).unwrap().len() as u64,
                    tensor.bytes,
                    "{name}: {}",
                    tensor.name
                );
                assert_eq!(file.tensor(&tensor.name), Some(tensor), "{name}");
            }
            if folder == "formats" {
                let stored = file
                    .tensors()
                    .iter()
                    .filter(|tensor| tensor.kind.name() == name)
                    .count();
                assert!(stored >= 7, "{name}: {stored} tensors are stored so");
            }
        }
    }
}

/// The whole directory of one file, as PyPI's `gguf` 0.19 prints it.
#[test]
fn a_reference_model_holds_what_the_python_reader_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/formats/Q4_0.gguf");
    let file = ModelFile::open(&path).unwrap();
    let lines: Vec<String> = file
        .tensors()
        .iter()
        .map(|t| {
            format!(
                "{} {:?} {} {} {}",
                t.name, t.shape, t.kind, t.offset, t.bytes
            )
        })
        .collect();
    assert_eq!(lines, PYTHON_SAYS);
}

const PYTHON_SAYS: &[&str] = &[
    "output.weight [256, 128] Q4_0 1344 18432",
    "output_norm.weight [256] F32 19776 1024",
    "token_embd.weight [256, 128] Q4_0 20800 18432",
    "blk.0.attn_k.weight [256, 128] Q4_0 39232 18432",
    "blk.0.attn_norm.weight [256] F32 57664 1024",
    "blk.0.attn_output.weight [256, 256] Q4_0 58688 36864",
    "blk.0.attn_q.weight [256, 256] Q4_0 95552 36864",
    "blk.0.attn_v.weight [256, 128] Q4_0 132416 18432",
    "blk.0.ffn_down.weight [256, 256] Q4_0 150848 36864",
    "blk.0.ffn_gate.weight [256, 256] Q4_0 187712 36864",
    "blk.0.ffn_norm.weight [256] F32 224576 1024",
    "blk.0.ffn_up.weight [256, 256] Q4_0 225600 36864",
];

#[test]
fn every_tokenizer_is_read_in_time() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/tokenizers");
    if !folder.is_dir() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is missing, and CI must have it",
            folder.display()
        );
        eprintln!("skipped: {} is not here", folder.display());
        return;
    }
    let tokens = [
        ("gpt-2", 50257),
        ("llama-bpe", 128_256),
        ("llama-spm", 32000),
        ("qwen2", 151_936),
    ];
    for (name, count) in tokens {
        let bytes = std::fs::read(folder.join(name).with_extension("gguf")).unwrap();
        let started = Instant::now();
        let header = Header::parse(&bytes, bytes.len() as u64).unwrap();
        let took = started.elapsed();
        // 1 µs a token and a merge would be 0.4 s for the largest; it takes a tenth.
        assert!(took < Duration::from_millis(400), "{name}: {took:?}");
        assert_eq!(
            header
                .metadata
                .texts("tokenizer.ggml.tokens")
                .unwrap()
                .unwrap()
                .len(),
            count,
            "{name}"
        );
        let unusable = header
            .metadata
            .0
            .iter()
            .find(|(_, value)| matches!(value, Value::Unusable { .. }));
        assert!(unusable.is_none(), "{name}: {unusable:?}");
    }
}

/// The seeds of the fuzz target: sound headers of both versions with a value of every type, headers
/// without data, and junk.
#[test]
fn the_seeds_of_the_fuzz_target_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/gguf_header");
    let read = |name: &str| ModelFile::open(&folder.join(name));
    let (two, three) = (
        read("every_value_v2").unwrap(),
        read("every_value_v3").unwrap(),
    );
    assert_eq!((two.version(), three.version()), (2, 3));
    assert_eq!(two.tensors(), three.tensors());
    assert_eq!(two.metadata().0, three.metadata().0);
    assert_eq!(three.metadata().0.len(), 26);
    assert_eq!(three.header().alignment, 64);
    for name in ["llama", "gpt2", "IQ4_XS", "safetensors", "zip", "cut"] {
        assert_eq!(read(name).unwrap_err().code(), "bad-file", "{name}");
    }
}

fn models(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries
        .filter(|path| path.extension() == Some(OsStr::new("gguf")))
        .collect();
    paths.sort();
    paths
}
