//! Tuning: every variant that it may choose gives the references' results, and what it chose is what is used.

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc};

use lantern_engine::{GpuOptions, LoadOptions, ModelFile, Precision, SamplerOptions};
use lantern_kernels::matvec::MATVEC;
use pollster::block_on;

use crate::support::{
    adapters,
    default_model::default_model,
    models::{folder, generate, load, logits, prefill, reference},
    nmse,
};

#[test]
fn each_variant_by_force_gives_the_reference() {
    let Some(path) = default_model() else { return };
    let place = folder("smollm2").join("france");
    let reference = reference(&place);
    for variant in ["rows4", "rows8", "subgroup", "workgroup", "workgroup8"] {
        let options = GpuOptions {
            variants: vec![variant.to_owned()],
            ..GpuOptions::default()
        };
        let gpu = Arc::new(adapters::gpu(&adapters::main(), options));
        for (precision, max) in [(Precision::Mixed, 1e-4), (Precision::Exact, 1e-6)] {
            let options = LoadOptions {
                precision,
                context: Some(128),
                ..LoadOptions::default()
            };
            let model = load(&gpu, &path, &options);
            let mut session = block_on(model.session()).unwrap();
            prefill(&mut session, &reference.tokens);
            let error = nmse(&block_on(session.logits()).unwrap(), &logits(&place));
            assert!(error <= max, "{variant}: NMSE {error:.2e}");
            let sampled = generate(&mut session, 3, &SamplerOptions::greedy());
            assert_eq!(
                reference.first_wrong(&sampled),
                None,
                "{variant}: {sampled:?}"
            );
        }
    }
}

#[test]
fn what_was_tuned_for_is_used() {
    let path = folder("formats").join("Q4_1.gguf");
    let options = LoadOptions::default();
    for adapter in adapters::all() {
        let gpu = Arc::new(adapters::gpu(&adapter, GpuOptions::default()));
        let model = load(&gpu, &path, &options);
        let mut tried = BTreeSet::new();
        let mut each = |row: lantern_engine::TunedRow, shapes: usize| {
            assert!(row.seconds > 0.0 && shapes > 0);
            if row.shape.starts_with("matvec") {
                tried.insert(row.variant);
            }
            ControlFlow::Continue(())
        };
        let mut tuning = block_on(model.tune(60.0, &mut each)).unwrap();
        assert!(tried.len() > 1, "{tried:?}");
        let shapes: BTreeSet<String> = tuning.choices.keys().cloned().collect();
        assert_eq!(shapes, model.shapes());

        let plan = || {
            let file = ModelFile::open(&path).unwrap();
            file.plan(&gpu, &options, 1).unwrap().to_string()
        };
        for wanted in tried {
            let matvec = tuning.choices.iter_mut();
            let matvec = matvec.filter(|(shape, _)| shape.starts_with("matvec"));
            matvec.for_each(|(_, choice)| wanted.clone_into(choice));
            assert!(gpu.set_tuning(&tuning));
            assert_eq!(gpu.tuning(), tuning);
            for line in plan().lines().filter(|line| line.contains("matvec")) {
                assert!(line.contains(&format!(".{wanted}.")), "{line}");
            }
        }
        tuning.of.push('x');
        assert!(!gpu.set_tuning(&tuning), "of another driver");
        let no_time = block_on(model.tune(0.0, &mut |_, _| ControlFlow::Continue(()))).unwrap();
        let defaults = no_time
            .choices
            .iter()
            .filter(|(shape, _)| shape.starts_with("matvec"));
        let first = gpu.variant(&MATVEC).name;
        assert!(defaults.clone().count() > 0 && defaults.clone().all(|(_, v)| v == first));
        let stop = block_on(model.tune(60.0, &mut |_, _| ControlFlow::Break(())));
        assert_eq!(stop.unwrap_err().code(), "aborted");
    }
}
