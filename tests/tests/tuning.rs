//! Tuning: every variant that it may choose gives the references' results, and what it chose is what is used.

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc};

use lantern_engine::{Gpu, GpuOptions, LoadOptions, ModelFile, Precision, SamplerOptions};
use lantern_kernels::matvec::MATVEC;
use pollster::block_on;

use crate::support::{
    adapters,
    default_model::default_model,
    models::{assert_forced, folder, generate, load, logits, prefill, reference},
    nmse,
};

fn forced(variants: &[&str]) -> GpuOptions {
    GpuOptions::default().variants(variants.iter().map(ToString::to_string).collect())
}

#[test]
fn names_of_no_variant_are_refused() {
    let refused = |options| {
        let error = block_on(Gpu::new(&options)).err().expect("an error");
        assert_eq!(error.code(), "bad-input");
        error.to_string()
    };
    let said = refused(forced(&["rows4", "rows_4"]));
    assert!(
        said.contains("\"rows_4\"") && said.contains("rows4, rows8, runs"),
        "{said}"
    );
    let faulty = |fault: &str| refused(GpuOptions::default().faults(vec![fault.to_owned()]));
    let said = faulty("matvec.rows_4");
    assert!(
        said.contains("\"matvec.rows_4\"") && said.contains("rows4, rows8, staged128"),
        "{said}"
    );
    for fault in ["matvek.rows4", "rows4", ""] {
        let said = faulty(fault);
        assert!(
            said.contains("names no kernel") && said.contains("matvec, matvec_integer"),
            "{said}"
        );
    }
}

#[test]
fn a_variant_that_does_not_run_here_is_refused() {
    let options = forced(&["workgroup", "subgroup"])
        .adapter(adapters::main().index.to_string())
        .subgroups(false);
    let error = block_on(Gpu::new(&options)).err().expect("an error");
    let said = error.to_string();
    assert!(
        said.contains("cannot run the variant \"subgroup\"") && said.contains("workgroup, "),
        "{said}"
    );
}

#[test]
fn each_variant_by_force_gives_the_reference() {
    let Some(path) = default_model() else { return };
    let place = folder("smollm2").join("france");
    let reference = reference(&place);
    for variant in ["rows4", "rows8", "subgroup", "workgroup", "workgroup8"] {
        let gpu = Arc::new(adapters::gpu(&adapters::main(), forced(&[variant])));
        for (precision, max) in [(Precision::Mixed, 1e-4), (Precision::Exact, 1e-6)] {
            let options = LoadOptions::default().precision(precision).context(128);
            assert_forced(&gpu, &path, &options, &[variant]);
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
