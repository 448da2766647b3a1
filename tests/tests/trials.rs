//! Inputs that came out wrong for users of other programs, and what is right: `reference/trials`.

use std::path::{Path, PathBuf};

use lantern_engine::{Error, LoadOptions, ModelFile, Precision, SamplerOptions, Session};
use pollster::block_on;

use crate::support::{
    adapters,
    models::{folder, load, logits, prefill, prefill_all},
    nmse,
};

fn trial(name: &str) -> PathBuf {
    folder("trials").join(name)
}

/// A session with the model at `path`, in 32 bits.
fn session(path: &Path) -> Session {
    let gpu = adapters::open(&adapters::main());
    let exact = LoadOptions::default().precision(Precision::Exact);
    block_on(load(&gpu, path, &exact).session()).unwrap()
}

/// Logits after each of the trials' tokens.
fn all_logits(name: &str) -> Vec<f32> {
    let text = std::fs::read_to_string(trial("tokens.json")).unwrap();
    let tokens: Vec<u32> = serde_json::from_str(&text).unwrap();
    prefill_all(&mut session(&trial(name)), &tokens)
}

#[test]
fn gpu_windows_heads_and_shards_are_those_of_transformers() {
    for name in [
        "folder-mistral-window8",
        "folder-tied-other-head",
        "folder-shards-stale-index",
    ] {
        let error = nmse(&all_logits(name), &logits(&trial(name).join("expected")));
        assert!(error < 1e-10, "{name}: NMSE {error:.2e}");
    }
}

#[test]
fn gpu_a_softcap_of_null_is_none() {
    let null = ModelFile::open(&trial("folder-gemma2-caps-null")).unwrap();
    let scales = null.config().unwrap().scales;
    assert_eq!((scales.score_softcap, scales.logit_softcap), (None, None));
    let far = all_logits("folder-gemma2-caps-practically-none");
    let error = nmse(&all_logits("folder-gemma2-caps-null"), &far);
    // What a softcap of a million costs in 32 bits.
    assert!(error < 1e-6, "NMSE {error:.2e}");
}

#[test]
fn an_author_that_is_not_utf8_is_written_as_it_was() {
    let path = trial("author-latin1.gguf");
    let file = ModelFile::open(&path).unwrap();
    let mut out = Vec::new();
    let mut go_on = |_| std::ops::ControlFlow::Continue(());
    block_on(file.quantised("q8_0").unwrap().write(&mut out, &mut go_on)).unwrap();
    let author = |bytes: &[u8]| {
        let key = b"general.author";
        let at = bytes.windows(key.len()).position(|w| w == key).unwrap();
        bytes[at..at + key.len() + 4 + 8 + 6].to_vec()
    };
    assert_eq!(author(&out), author(&std::fs::read(path).unwrap()));
}

#[test]
fn an_array_of_equal_numbers_is_the_number() {
    let config = ModelFile::open(&trial("head-count-kv-array.gguf")).unwrap();
    assert_eq!(config.config().unwrap().attention().unwrap().kv_heads, 2);
}

#[test]
fn a_missing_key_is_named() {
    let file = ModelFile::open(&trial("no-context-length.gguf")).unwrap();
    let error = file.config().unwrap_err().to_string();
    assert!(
        error.ends_with("metadata llama.context_length is missing"),
        "{error}"
    );
}

#[test]
fn gpu_logits_that_are_not_finite_are_an_error() {
    let mut session = session(&trial("nan.gguf"));
    for sampler in [SamplerOptions::greedy(), SamplerOptions::default()] {
        session.rewind(0).unwrap();
        prefill(&mut session, &[1, 2, 3]);
        let mut none = |token| panic!("{token} was sampled");
        let sampled = block_on(session.generate(4, &sampler, &mut none));
        assert!(matches!(sampled, Err(Error::NotFinite(_))), "{sampled:?}");
    }
    assert!(matches!(
        block_on(session.logits()),
        Err(Error::NotFinite(_))
    ));
    let mut none = |_: usize, _: &[f32]| panic!("logits were shown");
    let all = block_on(session.prefill_all(&[4, 5], &mut none));
    assert!(matches!(all, Err(Error::NotFinite(_))), "{all:?}");
    let file = ModelFile::open(&trial("nan.gguf")).unwrap();
    let mut go_on = |_: &_| std::ops::ControlFlow::Continue(());
    let first = block_on(session.check_plan(&file, &[3], &mut go_on)).unwrap();
    let first = first.expect("an op makes the first of them");
    assert!(!first.finite && first.layer == Some(0), "{first:?}");
}
