//! Model files whose header is sound and whose model is not: each is an error that names what is wrong, before weights are
//! uploaded. Made from a reference file, by writing over the bytes behind a name.

use std::{fs, ops::ControlFlow, sync::Arc, time::Instant};

use lantern_engine::{Engine, EngineOptions, Error, LoadOptions, Model, ModelFile, file::Source};
use pollster::block_on;

use crate::support::{adapters, models::folder};

/// Metadata whose 4-byte value is written over, and a piece of the message.
#[rustfmt::skip] // a table
const METADATA: &[(&str, u32, &str)] = &[
    ("llama.block_count", 0, "block_count is 0"),
    ("llama.block_count", 9, "is missing"),
    ("llama.block_count", u32::MAX, "block_count is 4294967295"),
    ("llama.embedding_length", 0, "embedding_length is 0"),
    ("llama.embedding_length", 96, "has the shape"),
    ("llama.attention.head_count", 0, "head_count is 0"),
    ("llama.attention.head_count", 3, "do not share"),
    ("llama.attention.head_count_kv", 3, "do not share"),
    ("llama.feed_forward_length", 4096, "has the shape"),
    ("llama.context_length", 0, "context_length is 0"),
    ("llama.context_length", u32::MAX, "context_length is"),
    ("llama.vocab_size", 999, "vocab_size is 999"),
    ("llama.rope.dimension_count", 4096, "cannot turn in pairs"),
    ("llama.rope.freq_base", 0x7fc0_0000, "NaN"),
    ("llama.rope.freq_base", 0, "not above 0"),
    ("llama.attention.layer_norm_rms_epsilon", 0x7fc0_0000, "NaN"),
    ("llama.attention.layer_norm_rms_epsilon", 0xbf80_0000, "epsilon is -1"),
];

/// Names that become another, and a piece of the message.
#[rustfmt::skip] // a table
const NAMES: &[(&str, &str, &str)] = &[
    ("token_embd.weight", "token_embx.weight", "token_embd.weight is missing"),
    ("blk.1.attn_q.weight", "blk.1.attn_x.weight", "blk.1.attn_q.weight is missing"),
    ("output_norm.weight", "output_nurm.weight", "output_norm.weight is missing"),
    ("output.weight", "unused.weight", "has no place"),
];

fn place(bytes: &[u8], name: &str) -> Option<usize> {
    // The length before it tells `output.weight` from the end of `attn_output.weight`.
    let mut wanted = (name.len() as u64).to_le_bytes().to_vec();
    wanted.extend_from_slice(name.as_bytes());
    let at = bytes.windows(wanted.len()).position(|w| w == wanted);
    at.map(|at| at + 8)
}

fn refusal(engine: &Arc<Engine>, bytes: Vec<u8>) -> String {
    let start = Instant::now();
    let load = || -> Result<Model, Error> {
        let file = ModelFile::from_source(Source::from_bytes(bytes))?;
        let progress = &mut |_, _| ControlFlow::Continue(());
        block_on(Model::load(
            engine,
            &file,
            &LoadOptions::default(),
            progress,
        ))
    };
    let message = load().map_or_else(|e| e.to_string(), |_| "it was loaded".into());
    assert!(start.elapsed().as_secs() < 2, "{message}: too slow");
    message
}

#[test]
fn gpu_what_disagrees_with_itself_is_refused() {
    let engine = Arc::new(adapters::engine(
        &adapters::main(),
        EngineOptions::default(),
    ));
    let sound = fs::read(folder("families").join("llama.gguf")).unwrap();
    assert_eq!(refusal(&engine, sound.clone()), "it was loaded");
    let mut wrong = Vec::new();
    for &(key, value, piece) in METADATA {
        let Some(at) = place(&sound, key) else {
            wrong.push(format!("the file has no {key}"));
            continue;
        };
        let mut bytes = sound.clone();
        let value_at = at + key.len() + 4; // behind the type's number
        bytes[value_at..value_at + 4].copy_from_slice(&value.to_le_bytes());
        let message = refusal(&engine, bytes);
        if !message.contains(piece) {
            wrong.push(format!("{key} = {value}: {message:?} instead of {piece:?}"));
        }
    }
    for &(name, other, piece) in NAMES {
        let at = place(&sound, name).unwrap();
        let mut bytes = sound.clone();
        bytes[at..at + name.len()].copy_from_slice(other.as_bytes());
        let message = refusal(&engine, bytes);
        if !message.contains(piece) {
            wrong.push(format!("{name}: {message:?} instead of {piece:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
