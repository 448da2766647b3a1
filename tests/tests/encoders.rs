//! Encoders: a text is one pass, and nothing goes on after it.

use std::ops::ControlFlow;

use lantern_engine::{LoadOptions, ModelFile, SamplerOptions};
use pollster::block_on;

use crate::{
    references::ENCODERS,
    support::{
        adapters,
        models::{folder, load, prefill},
    },
};

#[test]
fn a_text_is_one_pass() {
    let gpu = adapters::open(&adapters::main());
    let path = folder("families-2026").join("bert.gguf");
    let tokens: Vec<u32> = (1..25).collect();
    let model = load(&gpu, &path, &LoadOptions::default());
    assert_eq!(model.prefill_batch(), model.context());
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let mut session = block_on(model.session()).unwrap();
    prefill(&mut session, &tokens);
    let error = block_on(session.prefill(&tokens, go_on)).unwrap_err();
    assert!(error.to_string().contains("one pass"), "{error}");
    assert_eq!(session.rewind(5).unwrap(), 0, "what is left has seen more");
    session.rewind(0).unwrap();
    prefill(&mut session, &tokens[..5]);
    let each = &mut |_| ControlFlow::Continue(());
    let greedy = SamplerOptions::greedy();
    let error = block_on(session.generate(1, &greedy, each)).unwrap_err();
    assert_eq!(error.code(), "unsupported");
    let narrow = load(&gpu, &path, &LoadOptions::default().prefill_batch(11));
    let mut session = block_on(narrow.session()).unwrap();
    let error = block_on(session.prefill(&tokens, go_on)).unwrap_err();
    assert!(error.to_string().contains("at most 11 tokens"), "{error}");
    prefill(&mut session, &tokens[..11]);
}

#[test]
fn their_files_say_that_rows_attend_to_all() {
    for name in ENCODERS {
        let path = folder("families-2026").join(format!("{name}.gguf"));
        let config = ModelFile::open(&path).unwrap().config().unwrap();
        assert!(!config.causal, "{name}");
    }
}
