//! A cache of fewer bits against one of 32: how far logits may be off, and what it takes.

use lantern_engine::{CacheType, LoadOptions, Precision};
use pollster::block_on;

use crate::support::{
    adapters,
    models::{folder, load, prefill, prefill_all, reference},
    nmse,
};

fn with(cache: CacheType) -> LoadOptions {
    LoadOptions::default()
        .precision(Precision::Exact)
        .cache(cache)
}

/// A block of the formats' model, and one with windows, soft-capping and heads of 32.
#[test]
fn fewer_bits_are_off_by_as_much_as_they_should() {
    for adapter in adapters::all() {
        let gpu = adapters::open(&adapter);
        for name in ["formats/F16", "families/gemma3"] {
            let path = folder(&format!("{name}.gguf"));
            let logits = |cache| {
                let model = load(&gpu, &path, &with(cache));
                let mut session = block_on(model.session()).unwrap();
                let all = prefill_all(&mut session, &reference(&path).tokens);
                prefill(&mut session, &[1]); // a decoded token reads what prefill wrote
                (
                    model.cache_bytes(),
                    [all, block_on(session.logits()).unwrap()].concat(),
                )
            };
            let (whole_bytes, wanted) = logits(CacheType::F32);
            let mut before = None;
            for (cache, bits, max) in [
                (CacheType::F16, 16, 1e-6),
                (CacheType::Q8_0, 9, 1e-3),
                (CacheType::Q4_0, 5, 0.3),
            ] {
                let (bytes, found) = logits(cache);
                let error = nmse(&found, &wanted);
                println!("{} {name} {cache:?}: NMSE {error:.2e}", adapter.name);
                assert!(
                    error <= max,
                    "{}: {name}: {cache:?}: NMSE {error:.2e}",
                    adapter.name
                );
                assert_eq!(bytes * 32, whole_bytes * bits, "{cache:?}");
                // A bit less in every value is twice the error, four times its square: eleven bits, seven, four of a block.
                if let Some(before) = before.replace(error) {
                    let ratio = error / before;
                    assert!(
                        (20.0..2000.0).contains(&ratio),
                        "{name}: {cache:?}: {ratio}"
                    );
                }
            }
        }
    }
}

#[test]
fn blocks_want_heads_of_whole_blocks() {
    let gpu = adapters::open(&adapters::main());
    let path = folder("families").join("llama-mha-tied.gguf");
    let file = lantern_engine::ModelFile::open(&path).unwrap();
    let mut each = |_, _| std::ops::ControlFlow::Continue(());
    let options = with(CacheType::Q8_0);
    let loading = lantern_engine::Model::load(&gpu, &file, &options, &mut each);
    let error = block_on(loading).err().expect("heads of 40").to_string();
    assert!(error.contains("take f16"), "{error}");
}
