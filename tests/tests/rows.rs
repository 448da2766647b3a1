//! Rows of a pass: of several sequences, and given in the place of tokens.

use std::{ops::ControlFlow, path::PathBuf, sync::Arc};

use half::f16;
use lantern_engine::{Gpu, LoadOptions, ModelFile, Precision, Row};
use pollster::block_on;

use crate::support::{
    adapters,
    models::{folder, load, logits, prefill, reference},
    nmse,
};

fn file(kind: &str, name: &str) -> PathBuf {
    folder(kind).join(format!("{name}.gguf"))
}

fn exact() -> LoadOptions {
    LoadOptions::default().precision(Precision::Exact)
}

fn rows(tokens: &[u32], sequence: u32) -> Vec<Row> {
    let rows = (0..).zip(tokens);
    rows.map(|(position, &token)| Row {
        token,
        position,
        sequence,
    })
    .collect()
}

/// Attention, windows, experts, recurrent states, latent keys: two sequences by turns, each against the reference and alone.
#[test]
fn interleaved_sequences_have_their_own_logits() {
    for adapter in adapters::all() {
        let gpu: Arc<Gpu> = adapters::open(&adapter);
        for (kind, name, max) in [
            ("families", "llama", 1e-9),
            ("families", "gemma3", 1e-6),
            ("families", "mixtral", 1e-6),
            ("families-2026", "qwen35", 1e-9),
            ("families-2026", "deepseek2-v3", 1e-9),
            ("families-2026", "kimi-linear", 1e-9),
            ("families-2026", "falcon-h1", 1e-9),
            ("families-2026", "jamba", 1e-9),
        ] {
            let path = file(kind, name);
            let tokens = reference(&path).tokens;
            let other: Vec<u32> = tokens.iter().rev().copied().collect();
            let model = load(&gpu, &path, &exact());
            let alone = |tokens: &[u32]| {
                let mut one = block_on(model.sequences(2)).unwrap();
                block_on(one.forward(&rows(tokens, 1))).unwrap()
            };
            let pairs = rows(&tokens, 0).into_iter().zip(rows(&other, 1));
            let together: Vec<Row> = pairs.flat_map(|(a, b)| [b, a]).collect();
            let mut both = block_on(model.sequences(2)).unwrap();
            let all = block_on(both.forward(&together)).unwrap();
            let of = |first: usize| -> Vec<Vec<f32>> {
                all.iter().skip(first).step_by(2).cloned().collect()
            };
            assert_eq!(of(1), alone(&tokens), "{name} on {}", adapter.name);
            assert_eq!(of(0), alone(&other), "{name} on {}", adapter.name);
            let error = nmse(&of(1).concat(), &logits(&path));
            assert!(error <= max, "{name}: NMSE {error:.2e}");
        }
    }
}

#[test]
fn rows_that_cannot_be_are_refused() {
    let gpu = adapters::open(&adapters::main());
    let model = load(&gpu, &file("families", "llama"), &exact());
    let mut both = block_on(model.sequences(2)).unwrap();
    let row = |token, position, sequence| Row {
        token,
        position,
        sequence,
    };
    for (wrong, why) in [
        (row(1, 0, 2), "sequence 2"),
        (row(1, 3, 0), "position"),
        (row(1 << 20, 0, 0), "token"),
    ] {
        let error = block_on(both.forward(&[row(1, 0, 0), wrong])).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    assert!(block_on(model.sequences(0)).is_err());
    // Nothing of what was refused was computed.
    block_on(both.forward(&[row(1, 0, 0), row(2, 1, 0)])).unwrap();
}

/// Rows of the embedding, given by the caller, are what its tokens are.
#[test]
fn embedded_rows_compute_what_tokens_do() {
    let gpu = adapters::open(&adapters::main());
    for name in ["llama", "granite", "gpt2", "gemma2"] {
        let path = file("families", name);
        let file = ModelFile::open(&path).unwrap();
        let table = file.tensor("token_embd.weight").unwrap().clone();
        let bytes = block_on(file.data(&table, 0..table.bytes)).unwrap();
        let values: Vec<f32> = bytes
            .chunks_exact(2)
            .map(|b| f16::from_le_bytes(b.try_into().unwrap()).to_f32())
            .collect();
        let model = load(&gpu, &path, &exact());
        let scale = model.config().scales.embedding;
        let dim = model.config().dim as usize;
        let tokens = reference(&path).tokens;
        let row = |token: u32| &values[token as usize * dim..][..dim];
        let mut given = block_on(model.session()).unwrap();
        prefill(&mut given, &tokens[..5]);
        let rows: Vec<f32> = tokens[5..12]
            .iter()
            .flat_map(|&token| row(token).iter().map(|v| v * scale))
            .collect();
        let go_on = &mut |_, _| ControlFlow::Continue(());
        block_on(given.prefill_embedded(&rows, go_on)).unwrap();
        prefill(&mut given, &tokens[12..]);
        let mut plain = block_on(model.session()).unwrap();
        prefill(&mut plain, &tokens);
        let wanted = block_on(plain.logits()).unwrap();
        let error = nmse(&block_on(given.logits()).unwrap(), &wanted);
        assert!(error <= 1e-12, "{name}: NMSE {error:.2e}");
        // They are computed again after a rewind, and cannot be saved.
        given.rewind(10).unwrap();
        prefill(&mut given, &tokens[10..]);
        let error = nmse(&block_on(given.logits()).unwrap(), &wanted);
        assert!(error <= 1e-12, "{name}, rewound: NMSE {error:.2e}");
        assert_eq!(given.save().unwrap_err().code(), "unsupported");
        let cut = block_on(given.prefill_embedded(&rows[1..], go_on));
        assert_eq!(cut.unwrap_err().code(), "bad-input");
    }
}
