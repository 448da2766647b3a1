//! Sequences that go on in the same passes say what each would say alone.

use std::{ops::ControlFlow, path::PathBuf};

use lantern_engine::{Batch, LoadOptions, Model, Next, Precision, SamplerOptions};
use pollster::block_on;

use crate::support::{
    adapters,
    models::{folder, generate, load, prefill, reference},
};

fn file(kind: &str, name: &str) -> PathBuf {
    folder(kind).join(format!("{name}.gguf"))
}

fn exact() -> LoadOptions {
    LoadOptions::default().precision(Precision::Exact)
}

/// Tokens that a session of its own samples after a prompt.
fn alone(model: &Model, prompt: &[u32], count: usize, sampler: &SamplerOptions) -> Vec<u32> {
    let mut session = block_on(model.session()).unwrap();
    prefill(&mut session, prompt);
    generate(&mut session, count, sampler)
}

fn start(batch: &mut Batch, sequence: u32, prompt: &[u32], sampler: &SamplerOptions) -> usize {
    batch.start(sequence, prompt, sampler, false).unwrap()
}

/// A prompt in slices of so many rows; its first token.
fn prefilled(batch: &mut Batch, sequence: u32, rows: usize) -> u32 {
    loop {
        if let Some(token) = block_on(batch.prefill(sequence, rows)).unwrap() {
            return token;
        }
    }
}

fn step(batch: &mut Batch, sequences: &[u32]) {
    block_on(batch.begin(sequences)).unwrap();
    let sampled = block_on(batch.finish()).unwrap();
    assert!(sampled.iter().all(|(_, token)| token.is_some()));
}

/// Attention, windows, experts, recurrent states, latent keys. A sequence joins while another goes on, and one leaves.
#[test]
fn sequences_together_say_what_each_says_alone() {
    let gpu = adapters::open(&adapters::main());
    for (kind, name) in [
        ("families", "llama"),
        ("families", "gemma3"),
        ("families", "mixtral"),
        ("families-2026", "qwen35"),
        ("families-2026", "deepseek2-v3"),
        ("families-2026", "falcon-h1"),
    ] {
        let path = file(kind, name);
        let model = load(&gpu, &path, &exact());
        let first = reference(&path).tokens;
        let second: Vec<u32> = first.iter().rev().copied().collect();
        let third = &first[..first.len() / 2];
        let greedy = SamplerOptions::greedy();
        let daring = SamplerOptions::default().temperature(1.3).seed(5);
        let mut batch = block_on(model.batch(3)).unwrap();
        start(&mut batch, 2, &first, &greedy);
        prefilled(&mut batch, 2, 5);
        step(&mut batch, &[2]);
        step(&mut batch, &[2]);
        start(&mut batch, 0, &second, &daring);
        block_on(batch.prefill(0, 3)).unwrap();
        step(&mut batch, &[2]);
        prefilled(&mut batch, 0, usize::MAX);
        start(&mut batch, 1, third, &greedy);
        prefilled(&mut batch, 1, 1);
        for _ in 0..4 {
            step(&mut batch, &[0, 1, 2]);
        }
        step(&mut batch, &[2, 0]);
        for (sequence, prompt, sampler) in [
            (2, &first[..], &greedy),
            (0, &second, &daring),
            (1, third, &greedy),
        ] {
            let own = &batch.tokens(sequence)[prompt.len()..];
            assert!(own.len() >= 5);
            let wanted = alone(&model, prompt, own.len(), sampler);
            assert_eq!(own, wanted, "{name}, sequence {sequence}");
        }
    }
}

#[test]
fn what_may_follow_is_each_sequence_s_own() {
    let gpu = adapters::open(&adapters::main());
    let path = file("families", "llama");
    let model = load(&gpu, &path, &exact());
    let tokens = reference(&path).tokens;
    let greedy = SamplerOptions::greedy();
    let mut batch = block_on(model.batch(2)).unwrap();
    let only = |token: u32| {
        let mut words = vec![0u32; 64];
        words[token as usize / 32] = 1 << (token % 32);
        words
    };
    batch.start(0, &tokens, &greedy, true).unwrap();
    start(&mut batch, 1, &tokens, &greedy);
    batch.allow(0, &Next::Among(&only(9)));
    assert_eq!(prefilled(&mut batch, 0, usize::MAX), 9);
    prefilled(&mut batch, 1, usize::MAX);
    for token in [33, 40] {
        block_on(batch.begin(&[1, 0])).unwrap();
        batch.allow(0, &Next::Among(&only(token)));
        let sampled = block_on(batch.finish()).unwrap();
        assert_eq!(sampled[1], (0, Some(token)));
    }
    batch.force(0, &[1, 2, 3]).unwrap();
    assert_eq!(batch.pending(0), 4);
    batch.allow(0, &Next::Any);
    prefilled(&mut batch, 0, usize::MAX);
    let forced = [&tokens[..], &[9, 33, 40, 1, 2, 3]].concat();
    let wanted = alone(&model, &forced, 1, &greedy);
    assert_eq!(batch.tokens(0), [forced, wanted].concat());
    let own = &batch.tokens(1)[tokens.len()..];
    assert_eq!(own, alone(&model, &tokens, 3, &greedy));
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let gpu = adapters::open(&adapters::main());
    let model = load(&gpu, &file("families", "llama"), &exact());
    let greedy = SamplerOptions::greedy();
    assert!(block_on(model.batch(0)).is_err());
    assert!(block_on(model.batch(17)).is_err());
    let mut batch = block_on(model.batch(1)).unwrap();
    start(&mut batch, 0, &[1, 2, 3], &greedy);
    for prompt in [&[][..], &[1 << 20], &vec![1; 1 << 20]] {
        assert!(batch.start(0, prompt, &greedy, false).is_err());
    }
    assert!(batch.force(0, &[1 << 20]).is_err());
    assert_eq!(batch.tokens(0), [1, 2, 3]);
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let token = block_on(batch.prefill_all(0, go_on)).unwrap();
    assert_eq!(token, alone(&model, &[1, 2, 3], 1, &greedy)[0]);
}
