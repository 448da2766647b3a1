//! Results of benchmarks: the schema that is published is that of the types, and every result kept here is one.

use std::{fs, path::PathBuf, sync::Arc};

use lantern_engine::{
    BenchOptions, GpuOptions, HeadSeconds, LoadOptions, ModelFile,
    bench::report::{Host, Report, schema},
};
use pollster::block_on;

use crate::support::{adapters, models::load_file};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("results")
}

fn results() -> Vec<(String, String)> {
    let files = fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().path());
    let results = files.filter(|path| path.to_string_lossy().ends_with(".bench.json"));
    results
        .map(|path| {
            (
                path.display().to_string(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect()
}

fn valid(name: &str, value: &serde_json::Value) {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let wrong: Vec<String> = validator
        .iter_errors(value)
        .map(|error| error.to_string())
        .collect();
    assert!(wrong.is_empty(), "{name}: {}", wrong.join("; "));
}

/// `LANTERN_BLESS=1` writes it anew.
#[test]
fn the_published_schema_is_that_of_the_types() {
    let path = folder().join("bench.schema.json");
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("LANTERN_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        text,
        "{}",
        path.display()
    );
}

#[test]
fn every_result_kept_here_is_one() {
    let results = results();
    assert!(results.len() >= 4, "{} results", results.len());
    for (name, text) in results {
        for value in match serde_json::from_str(&text).unwrap() {
            serde_json::Value::Array(all) => all,
            one => vec![one],
        } {
            valid(&name, &value);
        }
        assert!(!Report::read(&name, &text).unwrap().is_empty());
    }
}

/// Measurements are results by the schema, on every adapter; a model of few layers stands for one of many.
#[test]
fn what_is_measured_is_a_result() {
    for adapter in adapters::all() {
        let gpu = Arc::new(adapters::gpu(&adapter, GpuOptions::default()));
        let whole = ModelFile::synthetic("smollm2-135m:q4_0").unwrap();
        let few = whole.synthetic_layers(2).unwrap();
        let options = LoadOptions::default().context(64);
        let model = load_file(&gpu, &few, &options);
        let mut session = block_on(model.session()).unwrap();
        let bench = BenchOptions::default()
            .prompt(vec![8])
            .generated(vec![2])
            .depths(vec![0, 4])
            .repetitions(2)
            .profile(false)
            .load_seconds(0.1);
        let mut go = |_, _| std::ops::ControlFlow::Continue(());
        let mut measured = block_on(session.bench(&bench, &mut go)).unwrap();
        let few_layers = measured.clone();
        let head = block_on(session.head_seconds()).unwrap();
        for seconds in [head.prompt, head.token] {
            assert!(seconds > 0.0 && seconds.is_finite(), "{head:?}");
        }
        // Were the head nothing, all would take as many times longer as there are more layers.
        let nothing = HeadSeconds {
            prompt: 0.0,
            token: 0.0,
        };
        measured
            .reckon(nothing, &gpu, (&few, &whole), &options)
            .unwrap();
        for (row, few) in measured.rows.iter().zip(&few_layers.rows) {
            let share = row.tokens_per_second.mean / few.tokens_per_second.mean;
            assert!((share * 15.0 - 1.0).abs() < 1e-9, "{}: {share}", row.test);
        }
        let report = Report::new(&session, few.len(), Host::default(), measured);
        let loaded = report.loaded.as_ref().unwrap();
        assert_eq!((loaded.context, loaded.cache.as_str()), (64, "f16"));
        assert_eq!((loaded.layers_streamed, loaded.loras.len()), (0, 0));
        let tested = report.selftest.as_ref().unwrap();
        assert!(tested.whole == Some(false) && tested.failed.is_empty());
        let text = serde_json::to_string(&report).unwrap();
        valid(&adapter.name, &serde_json::from_str(&text).unwrap());
        assert_eq!(Report::read("it", &text).unwrap()[0].measured.rows.len(), 4);
    }
}

/// An estimate takes the same memory as the model then does, and reads no weights.
#[test]
fn an_estimate_knows_what_a_model_takes() {
    for adapter in adapters::all() {
        let gpu = Arc::new(adapters::gpu(&adapter, GpuOptions::default()));
        let file = ModelFile::synthetic("smollm2-135m:q8_0").unwrap();
        let options = LoadOptions::default().context(128);
        let mut go = || std::ops::ControlFlow::Continue(());
        let estimate = block_on(gpu.estimate(&file, &options, &mut go)).unwrap();
        assert_eq!(gpu.counters().gpu_bytes, 0, "what it ran is gone");
        let model = load_file(&gpu, &file, &options);
        let session = block_on(model.session()).unwrap();
        assert_eq!(estimate.weight_bytes, model.weight_bytes());
        assert_eq!(estimate.cache_bytes, model.cache_bytes());
        let all = estimate.weight_bytes + estimate.cache_bytes + estimate.workspace_bytes;
        let really = gpu.counters().gpu_bytes;
        let off = all.abs_diff(really) as f64 / really as f64;
        assert!(off < 0.02, "{all} bytes estimated, {really} taken");
        assert!(estimate.decode_tokens_per_second > 0.0 && estimate.fits == Some(true));
        drop(session);
    }
}
