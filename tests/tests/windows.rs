//! Layers with a window keep only that: a cache that has turned over many times says what one with every position says.

use lantern_engine::{LoadOptions, Precision, SamplerOptions};
use pollster::block_on;

use crate::support::{
    adapters,
    models::{folder, generate, load, prefill, prefill_all},
    nmse,
};

/// Windows of 8; a ring of 40 cells in short passes, of the whole context in long ones.
const MODEL: &str = "gemma3.gguf";

fn options(prefill_batch: usize) -> LoadOptions {
    LoadOptions::default()
        .precision(Precision::Exact)
        .prefill_batch(prefill_batch)
}

fn text(length: u32) -> Vec<u32> {
    (0..length).map(|i| (i * 37 + i * i) % 128).collect()
}

#[test]
fn a_ring_says_what_a_whole_cache_says() {
    for adapter in adapters::all() {
        let gpu = adapters::open(&adapter);
        let (ring, whole) = (
            load(&gpu, &folder("families").join(MODEL), &options(16)),
            load(&gpu, &folder("families").join(MODEL), &options(256)),
        );
        assert!(
            ring.cache_bytes() * 2 < whole.cache_bytes(),
            "layers keep their window"
        );
        let logits = [ring, whole].map(|model| {
            let mut session = block_on(model.session()).unwrap();
            let all = prefill_all(&mut session, &text(150));
            let sampled = generate(&mut session, 60, &SamplerOptions::greedy());
            (all, sampled)
        });
        let error = nmse(&logits[0].0, &logits[1].0);
        assert!(error < 1e-11, "{}: NMSE {error:.2e}", adapter.name);
        assert_eq!(logits[0].1, logits[1].1, "{}", adapter.name);
    }
}

#[test]
fn what_a_ring_has_lost_is_computed_again() {
    for adapter in adapters::all() {
        let gpu = adapters::open(&adapter);
        let model = load(&gpu, &folder("families").join(MODEL), &options(16));
        let mut session = block_on(model.session()).unwrap();
        prefill(&mut session, &text(130));
        for position in [129, 120, 64, 30, 3] {
            session.rewind(position).unwrap();
            let mut fresh = block_on(model.session()).unwrap();
            prefill(&mut fresh, &text(position as u32));
            let (a, b) = (
                block_on(session.logits()).unwrap(),
                block_on(fresh.logits()).unwrap(),
            );
            let error = nmse(&a, &b);
            assert!(
                error < 1e-11,
                "{} at {position}: NMSE {error:.2e}",
                adapter.name
            );
            prefill(&mut session, &text(130)[position..]);
        }
    }
}

#[test]
fn a_saved_session_has_its_rings() {
    for adapter in adapters::all() {
        let gpu = adapters::open(&adapter);
        let model = load(&gpu, &folder("families").join(MODEL), &options(16));
        let mut session = block_on(model.session()).unwrap();
        prefill(&mut session, &text(100));
        let saved = session.save().unwrap();
        let mut restored = block_on(model.session()).unwrap();
        restored.restore(&saved).unwrap();
        for index in 0..session.pieces() {
            let piece = block_on(session.read_piece(index)).unwrap();
            restored.write_piece(index, &piece).unwrap();
        }
        let wanted = generate(&mut session, 20, &SamplerOptions::greedy());
        assert_eq!(
            generate(&mut restored, 20, &SamplerOptions::greedy()),
            wanted
        );
        let other = load(&gpu, &folder("families").join(MODEL), &options(64));
        let refused = block_on(other.session())
            .unwrap()
            .restore(&saved)
            .unwrap_err();
        assert!(refused.to_string().contains("windows"), "{refused}");
    }
}
