//! Starts: what is done before the first token, and how a prompt is handed to the GPU.

use std::sync::Arc;

use lantern_engine::{GpuOptions, LoadOptions, ModelFile, Precision, SamplerOptions};
use pollster::block_on;

use crate::support::{
    adapters,
    models::{generate, load_file, prefill},
    nmse,
};

/// Every pipeline of a model is compiled while its weights load, once; and a pass is submitted in parts, none of which
/// keeps the GPU for long, and whose number changes nothing.
#[test]
fn pipelines_come_ahead_and_prefill_in_parts() {
    let gpu = Arc::new(adapters::gpu(&adapters::main(), GpuOptions::default()));
    let file = ModelFile::synthetic("smollm2-135m:q8_0")
        .unwrap()
        .synthetic_layers(2)
        .unwrap();
    let options = LoadOptions::default().context(1024).prefill_batch(256);
    let model = load_file(&gpu, &file, &options);
    let compiled = gpu.counters().pipelines_compiled;
    assert!(compiled > 10, "{compiled} pipelines");
    let mut session = block_on(model.session()).unwrap();
    let tokens: Vec<u32> = (0..256).collect();
    let before = gpu.counters().submissions;
    prefill(&mut session, &tokens);
    let parts = gpu.counters().submissions - before;
    // 256 tokens through 7 million weights and a head: 4 billion operations, a billion a submission before any is timed.
    assert!((3..=20).contains(&parts), "{parts} submissions");
    let wanted = block_on(session.logits()).unwrap();
    session.rewind(0).unwrap();
    prefill(&mut session, &tokens);
    assert_eq!(block_on(session.logits()).unwrap(), wanted);
    generate(&mut session, 2, &SamplerOptions::greedy());
    assert_eq!(gpu.counters().pipelines_compiled, compiled);
}

/// Far into the context a decoded token's attention is split; it is the same as that of a prompt's last token, whichever
/// kernel does it.
#[test]
fn attention_in_parts_agrees_with_that_of_a_prompt() {
    let file = ModelFile::synthetic("smollm2-135m:q8_0")
        .unwrap()
        .synthetic_layers(2)
        .unwrap();
    let options = LoadOptions::default()
        .precision(Precision::Exact)
        .context(1024);
    let tokens: Vec<u32> = (0..601).map(|i| i * 7 % 500).collect();
    for adapter in adapters::all() {
        for subgroups in [true, false] {
            let gpu = GpuOptions::default().subgroups(subgroups);
            let gpu = Arc::new(adapters::gpu(&adapter, gpu));
            let model = load_file(&gpu, &file, &options);
            let mut session = block_on(model.session()).unwrap();
            prefill(&mut session, &tokens);
            let wanted = block_on(session.logits()).unwrap();
            session.rewind(600).unwrap();
            let before = gpu.counters().dispatches;
            prefill(&mut session, &tokens[600..]);
            let dispatches = gpu.counters().dispatches - before;
            assert_eq!(dispatches, 2 * 7 + 2, "two layers, each with a join");
            let error = nmse(&block_on(session.logits()).unwrap(), &wanted);
            let name = &adapter.name;
            assert!(
                error <= 1e-9,
                "{name}, subgroups {subgroups}: NMSE {error:.2e}"
            );
        }
    }
}
