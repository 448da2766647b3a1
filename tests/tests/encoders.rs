//! Encoders: they make no text, and their rows attend to all of it.

use std::ops::ControlFlow;

use lantern_engine::{LoadOptions, ModelFile};
use pollster::block_on;

use crate::{
    references::ENCODERS,
    support::{
        adapters,
        models::{folder, load},
    },
};

#[test]
fn they_make_no_text() {
    let gpu = adapters::open(&adapters::main());
    let path = folder("families-2026").join("bert.gguf");
    let model = load(&gpu, &path, &LoadOptions::default());
    assert_eq!(model.prefill_batch(), model.context());
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let mut session = block_on(model.session()).unwrap();
    let error = block_on(session.prefill(&[1, 2], go_on)).unwrap_err();
    assert_eq!(error.code(), "unsupported");
    assert!(error.to_string().contains("lantern embed"), "{error}");
    let error = block_on(model.sequences(2)).err().unwrap();
    assert!(error.to_string().contains("lantern embed"), "{error}");
}

#[test]
fn their_files_say_that_rows_attend_to_all() {
    for name in ENCODERS {
        let path = folder("families-2026").join(format!("{name}.gguf"));
        let config = ModelFile::open(&path).unwrap().config().unwrap();
        assert!(!config.causal, "{name}");
    }
}
