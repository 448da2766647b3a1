//! Sessions: every way to the same tokens is the same, bit for bit where the arithmetic is the same.

use std::{ops::ControlFlow, sync::Arc};

use lantern_engine::{
    Error, FinishReason, Gpu, GpuOptions, LoadOptions, Model, ModelFile, Precision, SamplerOptions,
};
use pollster::block_on;

use crate::support::{
    adapters,
    models::{assert_forced, folder, generate, load, prefill, prefill_all, reference},
    nmse,
};

fn model(options: GpuOptions, load_options: &LoadOptions) -> Model {
    let forced: Vec<String> = options.variants.clone();
    let forced: Vec<&str> = forced.iter().map(String::as_str).collect();
    let gpu: Arc<Gpu> = Arc::new(adapters::gpu(&adapters::main(), options));
    let path = folder("formats").join("Q4_1.gguf");
    assert_forced(&gpu, &path, load_options, &forced);
    load(&gpu, &path, load_options)
}

fn exact(prefill_batch: Option<usize>) -> LoadOptions {
    LoadOptions::default()
        .precision(Precision::Exact)
        .prefill_batch(prefill_batch)
}

fn prompt() -> Vec<u32> {
    let tokens = reference(&folder("formats").join("Q4_1")).tokens;
    tokens.iter().copied().cycle().take(70).collect()
}

fn logits(model: &Model, tokens: &[u32]) -> Vec<f32> {
    let mut session = block_on(model.session()).unwrap();
    prefill(&mut session, tokens);
    block_on(session.logits()).unwrap()
}

#[test]
fn prefill_in_any_chunks_agrees_with_token_by_token() {
    let one = model(GpuOptions::default(), &exact(Some(1)));
    let mut session = block_on(one.session()).unwrap();
    for token in prompt() {
        prefill(&mut session, &[token]);
    }
    let wanted = block_on(session.logits()).unwrap();
    let greedy = generate(&mut session, 12, &SamplerOptions::greedy());
    for prefill_batch in [1, 2, 3, 7, 8, 9, 16, 31, 64, 70, 200] {
        let model = model(GpuOptions::default(), &exact(Some(prefill_batch)));
        let mut session = block_on(model.session()).unwrap();
        prefill(&mut session, &prompt());
        let error = nmse(&block_on(session.logits()).unwrap(), &wanted);
        assert!(
            error <= 1e-9,
            "batches of {prefill_batch}: NMSE {error:.2e}"
        );
        assert_eq!(
            generate(&mut session, 12, &SamplerOptions::greedy()),
            greedy,
            "batches of {prefill_batch}"
        );
    }
}

#[test]
fn every_kind_of_variant_agrees() {
    let wanted = logits(&model(GpuOptions::default(), &exact(None)), &prompt());
    for names in [
        &["subgroup", "subgroup64", "subgroup32", "tile64"][..],
        &["workgroup", "workgroup64", "workgroup32"],
    ] {
        let variants = names.iter().map(ToString::to_string).collect();
        let forced = model(GpuOptions::default().variants(variants), &exact(None));
        let error = nmse(&logits(&forced, &prompt()), &wanted);
        assert!(error <= 1e-9, "{names:?}: NMSE {error:.2e}");
    }
}

#[test]
fn without_f16_and_without_subgroups() {
    let path = folder("formats").join("Q4_1.gguf");
    for adapter in adapters::all() {
        let run = |f16, subgroups, precision| {
            let options = GpuOptions::default().f16(f16).subgroups(subgroups);
            let load_options = LoadOptions::default().precision(precision);
            let gpu = Arc::new(adapters::gpu(&adapter, options));
            logits(&load(&gpu, &path, &load_options), &prompt())
        };
        let wanted = run(true, true, Precision::Exact);
        for (f16, subgroups) in [(false, false), (false, true), (true, false)] {
            for (precision, max) in [(Precision::Exact, 1e-9), (Precision::Mixed, 1e-4)] {
                let error = nmse(&run(f16, subgroups, precision), &wanted);
                let what = format!("{}: f16 {f16}, subgroups {subgroups}", adapter.name);
                assert!(error <= max, "{what}, {precision:?}: NMSE {error:.2e}");
            }
        }
    }
}

#[test]
fn two_runs_are_equal_bit_for_bit() {
    let model = model(GpuOptions::default(), &LoadOptions::default());
    assert_eq!(logits(&model, &prompt()), logits(&model, &prompt()));
    let sampler = SamplerOptions::default().temperature(1.5).seed(7);
    let run = |sampler: &SamplerOptions| {
        let mut session = block_on(model.session()).unwrap();
        prefill(&mut session, &prompt());
        generate(&mut session, 40, sampler)
    };
    assert_eq!(run(&sampler), run(&sampler));
    assert_ne!(
        run(&sampler),
        run(&sampler.clone().seed(8)),
        "a seed must matter"
    );
    let cold = SamplerOptions::greedy().repeat_penalty(1.000_001);
    assert_eq!(
        run(&SamplerOptions::greedy())[..4],
        run(&cold)[..4],
        "temperature 0 is greedy in the sampler too"
    );
}

#[test]
fn penalties_change_what_is_drawn() {
    let model = model(GpuOptions::default(), &LoadOptions::default());
    let run = |sampler: &SamplerOptions| {
        let mut session = block_on(model.session()).unwrap();
        prefill(&mut session, &prompt());
        generate(&mut session, 60, sampler)
    };
    let repeats = |tokens: &[u32]| {
        tokens.len()
            - tokens
                .iter()
                .collect::<std::collections::HashSet<_>>()
                .len()
    };
    let plain = repeats(&run(&SamplerOptions::greedy()));
    let strict = repeats(&run(&SamplerOptions::greedy().presence_penalty(50.0)));
    assert!(
        plain > 0 && strict == 0,
        "{plain} repeats without, {strict} with a penalty that forbids them"
    );
}

#[test]
fn forked_and_rewound_sessions_equal_a_fresh_one() {
    let model = model(GpuOptions::default(), &LoadOptions::default());
    let (first, rest) = (prompt()[..40].to_vec(), prompt()[40..].to_vec());
    let mut fresh = block_on(model.session()).unwrap();
    prefill(&mut fresh, &first);
    let early = block_on(fresh.logits()).unwrap();
    let mut fork = block_on(fresh.fork()).unwrap();
    prefill(&mut fresh, &rest);
    let wanted = block_on(fresh.logits()).unwrap();

    assert_eq!(block_on(fork.logits()).unwrap(), early);
    prefill(&mut fork, &rest);
    assert_eq!(block_on(fork.logits()).unwrap(), wanted);

    generate(&mut fork, 9, &SamplerOptions::greedy());
    fork.rewind(40).unwrap();
    assert_eq!(fork.tokens(), first);
    assert_eq!(
        block_on(fork.logits()).unwrap(),
        early,
        "logits are computed again after a rewind"
    );
    prefill(&mut fork, &rest);
    assert_eq!(block_on(fork.logits()).unwrap(), wanted);
    assert!(fork.rewind(71).is_err());
}

#[test]
fn a_drawn_token_is_part_of_the_session() {
    let model = model(GpuOptions::default(), &exact(None));
    let mut session = block_on(model.session()).unwrap();
    prefill(&mut session, &prompt());
    let mut all = generate(&mut session, 5, &SamplerOptions::greedy());
    all.extend(generate(&mut session, 5, &SamplerOptions::greedy()));
    let mut whole = block_on(model.session()).unwrap();
    prefill(&mut whole, &prompt());
    assert_eq!(generate(&mut whole, 10, &SamplerOptions::greedy()), all);
    assert_eq!(session.tokens()[70..], all);
    let tokens: Vec<u32> = prompt().into_iter().chain(all).collect();
    let error = nmse(
        &block_on(session.logits()).unwrap(),
        &logits(&model, &tokens),
    );
    assert!(error <= 1e-9, "NMSE {error:.2e}");
}

#[test]
fn all_logits_agree_with_the_last() {
    let model = model(GpuOptions::default(), &exact(None));
    let mut session = block_on(model.session()).unwrap();
    let all = prefill_all(&mut session, &prompt());
    let last = &all[all.len() - all.len() / 70..];
    assert!(nmse(&block_on(session.logits()).unwrap(), last) <= 1e-9);
}

#[test]
fn the_context_has_an_end() {
    let model = model(GpuOptions::default(), &LoadOptions::default().context(80));
    let mut session = block_on(model.session()).unwrap();
    let long: Vec<u32> = prompt().into_iter().cycle().take(81).collect();
    let error =
        block_on(session.prefill(&long, &mut |_, _| ControlFlow::Continue(()))).unwrap_err();
    assert!(
        matches!(
            error,
            Error::ContextFull {
                tokens: 81,
                context: 80
            }
        ),
        "{error}"
    );
    assert_eq!(session.position(), 0, "nothing was done");
    prefill(&mut session, &prompt());
    let mut sampled = 0;
    let end = block_on(session.generate(100, &SamplerOptions::greedy(), &mut |_| {
        sampled += 1;
        ControlFlow::Continue(())
    }));
    assert_eq!((end.unwrap(), sampled), (FinishReason::ContextFull, 10));
    assert!(block_on(session.logits()).is_ok());
}

#[test]
fn bad_input_is_refused_with_a_reason() {
    let chunks = LoadOptions::default().prefill_batch(32);
    let model = model(GpuOptions::default(), &chunks);
    let mut session = block_on(model.session()).unwrap();
    let none = &mut |_, _| ControlFlow::Continue(());
    assert_eq!(
        block_on(session.prefill(&[999_999], none))
            .unwrap_err()
            .code(),
        "bad-input"
    );
    assert_eq!(block_on(session.logits()).unwrap_err().code(), "bad-input");
    let sampler = SamplerOptions::default().top_p(f32::NAN);
    let error =
        block_on(session.generate(1, &sampler, &mut |_| ControlFlow::Continue(()))).unwrap_err();
    assert!(error.to_string().contains("top-p"), "{error}");
    let stopped =
        block_on(session.prefill(&prompt().repeat(3), &mut |_, _| ControlFlow::Break(())))
            .unwrap_err();
    assert_eq!(stopped.code(), "aborted");
    assert!(
        session.position() > 0 && session.position() < 210,
        "whole chunks are kept"
    );
}

/// Weights above a lowered binding limit are split by rows; results stay the same.
#[test]
fn weights_above_the_binding_limit_are_split() {
    let adapter = adapters::main();
    let options = exact(None).context(100).prefill_batch(32);
    let gpu = |max_binding| {
        let limited = GpuOptions::default().max_binding(max_binding);
        Arc::new(adapters::gpu(&adapter, limited))
    };
    let (whole, split) = (gpu(None), gpu(Some(64 << 10)));
    for name in [
        "F32", "F16", "Q4_0", "Q5_1", "Q8_0", "Q2_K", "Q5_K", "MXFP4",
    ] {
        let path = folder("formats").join(format!("{name}.gguf"));
        let file = ModelFile::open(&path).unwrap();
        let dispatches = |gpu: &Gpu| file.plan(gpu, &options, 1).unwrap().dispatches.len();
        let more = dispatches(&split) - dispatches(&whole);
        assert!(name != "F32" || more > 0, "{name} is not split");
        let wanted = logits(&load(&whole, &path, &options), &prompt());
        let got = logits(&load(&split, &path, &options), &prompt());
        assert_eq!(got, wanted, "{name}");
    }
}

/// Cost of decoding on any adapter: one pass, one submission, one read-back for each batch, and nothing made.
#[test]
fn decoding_makes_nothing() {
    let model = model(GpuOptions::default(), &LoadOptions::default());
    let mut session = block_on(model.session()).unwrap();
    let made = |model: &Model| {
        let c = model.gpu().counters();
        (
            c.buffers_created,
            c.bind_groups_created,
            c.pipelines_compiled,
        )
    };
    let at_start = made(&model);
    prefill(&mut session, &prompt());
    generate(&mut session, 2, &SamplerOptions::default());
    session.rewind(40).unwrap();
    prefill_all(&mut session, &prompt());
    // The first token is sampled alone, from logits that are there.
    for (batch, rounds) in [(1, 21), (4, 6)] {
        session.set_tokens_per_readback(Some(batch));
        block_on(session.logits()).unwrap();
        let before = model.gpu().counters();
        generate(&mut session, 21, &SamplerOptions::default());
        let after = model.gpu().counters();
        assert_eq!(made(&model), at_start);
        assert_eq!(after.passes - before.passes, rounds);
        assert_eq!(after.submissions - before.submissions, rounds);
        assert_eq!(after.readbacks - before.readbacks, rounds);
    }
}

#[test]
fn how_many_tokens_a_reading_brings_changes_nothing() {
    let model = model(GpuOptions::default(), &LoadOptions::default());
    let sampled = |batch, sampler: &SamplerOptions, stop: usize| {
        let mut session = block_on(model.session()).unwrap();
        session.set_tokens_per_readback(batch);
        prefill(&mut session, &prompt());
        let mut all = Vec::new();
        // Stopped within a batch, then on: what lay beyond the stop is forgotten.
        let mut each = |token| {
            all.push(token);
            if all.len() == stop {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let end = block_on(session.generate(90, sampler, &mut each)).unwrap();
        assert_eq!(end, FinishReason::Stop);
        assert_eq!(session.position(), prompt().len() + stop);
        all.extend(generate(&mut session, 70, sampler));
        (all, block_on(session.logits()).unwrap())
    };
    let penalised = SamplerOptions::default()
        .frequency_penalty(0.5)
        .repeat_penalty(1.2);
    for sampler in [SamplerOptions::greedy(), penalised] {
        let wanted = sampled(Some(1), &sampler, 10);
        for batch in [Some(2), Some(7), Some(16), None] {
            assert_eq!(sampled(batch, &sampler, 10), wanted, "{batch:?}");
        }
    }
}

#[test]
fn a_batch_ends_with_the_context() {
    let options = LoadOptions::default().context(80);
    let model = model(GpuOptions::default(), &options);
    let mut session = block_on(model.session()).unwrap();
    session.set_tokens_per_readback(Some(16));
    prefill(&mut session, &prompt());
    let mut count = 0;
    let end = block_on(session.generate(100, &SamplerOptions::greedy(), &mut |_| {
        count += 1;
        ControlFlow::Continue(())
    }));
    assert_eq!((end.unwrap(), count), (FinishReason::ContextFull, 10));
}

#[test]
fn a_saved_session_goes_on_as_it_would_have() {
    for load_options in [exact(None), LoadOptions::default()] {
        let model = model(GpuOptions::default(), &load_options);
        let mut session = block_on(model.session()).unwrap();
        prefill(&mut session, &prompt());
        generate(&mut session, 5, &SamplerOptions::default());
        let saved = session.save().unwrap();
        let text = serde_json::to_string(&saved).unwrap();
        let pieces: Vec<Vec<u8>> = (0..session.pieces())
            .map(|i| block_on(session.read_piece(i)).unwrap())
            .collect();

        let mut other = block_on(model.session()).unwrap();
        prefill(&mut other, &[9, 8, 7]);
        other
            .restore(&serde_json::from_str(&text).unwrap())
            .unwrap();
        for (index, piece) in pieces.iter().enumerate() {
            other.write_piece(index, piece).unwrap();
        }
        assert_eq!(other.tokens(), session.tokens());
        let penalised = SamplerOptions::default().frequency_penalty(1.0);
        let wanted = generate(&mut session, 12, &penalised);
        assert_eq!(generate(&mut other, 12, &penalised), wanted);
    }
}

#[test]
fn a_saved_session_of_another_model_is_refused() {
    let of = |name: &str, options: &LoadOptions| {
        let gpu = Arc::new(adapters::gpu(&adapters::main(), GpuOptions::default()));
        let model = load(&gpu, &folder("formats").join(name), options);
        block_on(model.session()).unwrap()
    };
    let mut session = of("Q4_1.gguf", &exact(None));
    prefill(&mut session, &prompt());
    let saved = session.save().unwrap();
    let short = exact(None).context(32);
    for (name, options, piece) in [
        ("Q4_0.gguf", exact(None), "another model"),
        ("Q4_1.gguf", LoadOptions::default(), "another precision"),
        ("Q4_1.gguf", short, "it holds 70 tokens"),
    ] {
        let mut other = of(name, &options);
        let error = other.restore(&saved).unwrap_err();
        assert_eq!(error.code(), "bad-input");
        assert!(error.to_string().contains(piece), "{error}");
        assert_eq!(other.position(), 0);
    }
    let mut same = of("Q4_1.gguf", &exact(None));
    same.restore(&saved).unwrap();
    assert_eq!(same.write_piece(0, &[0; 3]).unwrap_err().code(), "bad-file");
}
