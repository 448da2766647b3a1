//! States of every kind of mixer: every way to the same tokens is the same, bit for bit, also where a layer's state cannot go
//! back by itself.

use std::{ops::ControlFlow, sync::Arc};

use lantern_engine::{
    FinishReason, Gpu, GpuOptions, LoadOptions, Model, Precision, SamplerOptions, Session,
};
use pollster::block_on;

use crate::support::{
    adapters,
    models::{folder, generate, load, prefill, reference},
    nmse,
};

/// Gated delta nets and attention by turns; the second has 150 tokens, the third latent attention. RWKV-7, and selective state
/// spaces of both kinds, have states alone; the two after them have attention in turns with such spaces, and beside them. LFM2
/// has short convolutions, DeepSeek V3 latent attention alone, Gemma 4 windows.
const FILES: [&str; 11] = [
    "qwen35",
    "qwen35-tied-layers",
    "kimi-linear",
    "rwkv7",
    "mamba",
    "mamba2",
    "granitehybrid-rope",
    "falcon-h1",
    "lfm2",
    "deepseek2-v3",
    "gemma4-e",
];

fn model(name: &str, precision: Precision) -> (Model, Vec<u32>) {
    let gpu: Arc<Gpu> = Arc::new(adapters::gpu(&adapters::main(), GpuOptions::default()));
    let path = folder("families-2026").join(format!("{name}.gguf"));
    let options = LoadOptions::default().precision(precision);
    (load(&gpu, &path, &options), reference(&path).tokens)
}

fn session(model: &Model, tokens: &[u32]) -> Session {
    let mut session = block_on(model.session()).unwrap();
    prefill(&mut session, tokens);
    session
}

fn logits(session: &mut Session) -> Vec<f32> {
    block_on(session.logits()).unwrap()
}

fn greedy(session: &mut Session, count: usize) -> Vec<u32> {
    generate(session, count, &SamplerOptions::greedy())
}

#[test]
fn a_prompt_in_two_pieces_is_the_same() {
    for name in FILES {
        let (model, tokens) = model(name, Precision::Exact);
        let mut whole = session(&model, &tokens);
        let wanted = (logits(&mut whole), greedy(&mut whole, 12));
        for cut in [1, 7, tokens.len() - 1] {
            let mut two = session(&model, &tokens[..cut]);
            prefill(&mut two, &tokens[cut..]);
            let error = nmse(&logits(&mut two), &wanted.0);
            assert!(error <= 1e-12, "{name}, cut at {cut}: NMSE {error:.2e}");
            assert_eq!(greedy(&mut two, 12), wanted.1, "{name}, cut at {cut}");
        }
    }
}

#[test]
fn forked_and_rewound_sessions_equal_a_fresh_one() {
    for name in FILES {
        let (model, tokens) = model(name, Precision::Mixed);
        let (first, rest) = tokens.split_at(tokens.len() / 2);
        let mut fresh = session(&model, first);
        let early = logits(&mut fresh);
        let mut fork = block_on(fresh.fork()).unwrap();
        prefill(&mut fresh, rest);
        let wanted = logits(&mut fresh);

        assert_eq!(logits(&mut fork), early, "{name}: a fork has the logits");
        prefill(&mut fork, rest);
        assert_eq!(logits(&mut fork), wanted, "{name}: a fork goes on");

        let answer = greedy(&mut fork, 9);
        // To the end of the first prompt, of which a copy was kept.
        assert_eq!(fork.rewind(first.len()).unwrap(), first.len());
        assert_eq!(logits(&mut fork), early, "{name}: logits after a rewind");
        prefill(&mut fork, rest);
        assert_eq!(logits(&mut fork), wanted, "{name}: on after a rewind");
        assert_eq!(greedy(&mut fork, 9), answer, "{name}: and the same answer");

        // To a place that no copy is of: from the nearest before it, or from the start. Cells go back by themselves.
        let recurrent = model.config().state_bytes() > 0;
        let between = first.len() + 3;
        let from = fork.rewind(between).unwrap();
        assert_eq!(from < between, recurrent, "{name}: kept of {between}");
        prefill(&mut fork, &tokens[between..]);
        assert_eq!(logits(&mut fork), wanted, "{name}: after a rewind within");
        assert_eq!(fork.rewind(2).unwrap() == 0, recurrent);
        prefill(&mut fork, &tokens[2..]);
        assert_eq!(logits(&mut fork), wanted, "{name}: from the start again");
    }
}

#[test]
fn what_a_batch_sampled_beyond_a_stop_changes_nothing() {
    for name in FILES {
        let (model, tokens) = model(name, Precision::Mixed);
        let run = |batch: usize, stop: usize| {
            let mut session = session(&model, &tokens);
            session.set_tokens_per_readback(Some(batch));
            let mut all = Vec::new();
            let end = block_on(
                session.generate(40, &SamplerOptions::greedy(), &mut |token| {
                    all.push(token);
                    if all.len() == stop {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                }),
            );
            assert_eq!(end.unwrap(), FinishReason::Stop);
            assert_eq!(session.position(), tokens.len() + stop);
            // On with a prompt of three, and on.
            prefill(&mut session, &tokens[..3]);
            all.extend(greedy(&mut session, 20));
            (all, logits(&mut session))
        };
        for stop in [1, 5, 11] {
            let wanted = run(1, stop);
            for batch in [2, 7, 16] {
                assert_eq!(run(batch, stop), wanted, "{name}: {batch}, {stop}");
            }
        }
    }
}

#[test]
fn a_saved_session_goes_on_as_it_would_have() {
    for name in FILES {
        for stop in [None, Some(5)] {
            let (model, tokens) = model(name, Precision::Mixed);
            let mut session = session(&model, &tokens);
            if let Some(stop) = stop {
                // Within a batch, so that the states have seen too much.
                session.set_tokens_per_readback(Some(16));
                let mut count = 0;
                let mut each = |_| {
                    count += 1;
                    if count == stop {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                };
                block_on(session.generate(16, &SamplerOptions::greedy(), &mut each)).unwrap();
            }
            let text = serde_json::to_string(&session.save().unwrap()).unwrap();
            let pieces: Vec<Vec<u8>> = (0..session.pieces())
                .map(|index| block_on(session.read_piece(index)).unwrap())
                .collect();

            let mut restored = block_on(model.session()).unwrap();
            restored
                .restore(&serde_json::from_str(&text).unwrap())
                .unwrap();
            assert_eq!(restored.pieces(), pieces.len());
            for (index, piece) in pieces.iter().enumerate() {
                restored.write_piece(index, piece).unwrap();
            }
            assert_eq!(restored.tokens(), session.tokens());
            assert_eq!(logits(&mut restored), logits(&mut session), "{name}");
            assert_eq!(
                greedy(&mut restored, 12),
                greedy(&mut session, 12),
                "{name}"
            );
        }
    }
}

#[test]
fn two_runs_are_equal_bit_for_bit() {
    for name in FILES {
        let (model, tokens) = model(name, Precision::Mixed);
        let run = || {
            let mut session = session(&model, &tokens);
            let all = (logits(&mut session), greedy(&mut session, 30));
            // The same session, used again.
            session.rewind(0).unwrap();
            prefill(&mut session, &tokens);
            assert_eq!(logits(&mut session), all.0, "{name}: used again");
            all
        };
        assert_eq!(run(), run(), "{name}");
    }
}

/// One pass and one submission a batch, and nothing made, with recurrent states too.
#[test]
fn decoding_makes_nothing() {
    let (model, tokens) = model("qwen35", Precision::Mixed);
    let mut session = session(&model, &tokens);
    for (batch, rounds) in [(1, 21), (4, 6)] {
        session.set_tokens_per_readback(Some(batch));
        logits(&mut session);
        let before = model.gpu().counters();
        generate(&mut session, 21, &SamplerOptions::default());
        let after = model.gpu().counters();
        assert_eq!(after.buffers_created, before.buffers_created);
        assert_eq!(after.bind_groups_created, before.bind_groups_created);
        assert_eq!(after.passes - before.passes, rounds);
        assert_eq!(after.submissions - before.submissions, rounds);
        assert_eq!(after.readbacks - before.readbacks, rounds);
    }
}
