//! The real model against its references: ids, logits, greedy tokens, perplexity.

use std::{path::Path, sync::Arc};

use lantern_engine::{
    AdapterDescription, Gpu, GpuOptions, LoadOptions, Model, ModelFile, Precision, SamplerOptions,
};
use pollster::block_on;

use crate::support::{
    adapters,
    default_model::default_model,
    models::{assert_forced, folder, generate, load, logits, prefill, prefill_all, reference},
    nmse,
};

const CASES: &[&str] = &[
    "chat",
    "code",
    "france",
    "licence-2k",
    "licence-512",
    "unicode",
];

fn open(
    adapter: &AdapterDescription,
    path: &Path,
    precision: Precision,
    variants: &[&str],
) -> (Arc<Gpu>, Model) {
    let options =
        GpuOptions::default().variants(variants.iter().map(ToString::to_string).collect());
    let gpu = Arc::new(adapters::gpu(adapter, options));
    let options = LoadOptions::default().precision(precision);
    assert_forced(&gpu, path, &options, variants);
    let model = load(&gpu, path, &options);
    (gpu, model)
}

/// Logits within `max` of the reference, and the same greedy tokens, for each case.
fn check(adapter: &AdapterDescription, precision: Precision, cases: &[&str], max: f64) {
    check_with(adapter, precision, &[], cases, max);
}

/// Checks as [`check`] does, with the variants named.
fn check_with(
    adapter: &AdapterDescription,
    precision: Precision,
    variants: &[&str],
    cases: &[&str],
    max: f64,
) {
    let Some(path) = default_model() else { return };
    let (_gpu, model) = open(adapter, &path, precision, variants);
    for case in cases {
        let place = folder("smollm2").join(case);
        let reference = reference(&place);
        let mut session = block_on(model.session()).unwrap();
        prefill(&mut session, &reference.tokens);
        let error = nmse(&block_on(session.logits()).unwrap(), &logits(&place));
        let sampled = generate(
            &mut session,
            reference.greedy.len(),
            &SamplerOptions::greedy(),
        );
        println!("{:<40} {case:<12} NMSE {error:.2e}", adapter.name);
        assert!(error <= max, "{}: {case}: NMSE {error:.2e}", adapter.name);
        assert_eq!(
            reference.first_wrong(&sampled),
            None,
            "{}: {case}: {sampled:?}",
            adapter.name
        );
    }
}

fn slow() -> AdapterDescription {
    adapters::all()
        .into_iter()
        .find(|a| a.name.contains("SwiftShader"))
        .unwrap_or_else(adapters::main)
}

#[test]
fn exact_logits_and_tokens() {
    check(&adapters::main(), Precision::Exact, CASES, 1e-6);
}

#[test]
fn default_logits_and_tokens() {
    check(&adapters::main(), Precision::Mixed, CASES, 1e-4);
}

#[test]
fn exact_logits_and_tokens_on_the_slower_adapter() {
    check(&slow(), Precision::Exact, &["france"], 1e-6);
}

#[test]
fn default_logits_and_tokens_on_the_slower_adapter() {
    check(&slow(), Precision::Mixed, &["france"], 1e-4);
}

/// Products of integers, which are only used where they are asked for.
#[test]
fn default_logits_and_tokens_in_integers() {
    let variants = ["integer_rows", "integer_tile64"];
    let cases = ["france", "code", "unicode"];
    let adapter = adapters::main();
    check_with(&adapter, Precision::Mixed, &variants, &cases, 1e-4);
}

/// Weights in pieces of 1 MiB: the same tokens, in more dispatches.
#[test]
fn split_at_1_mib() {
    let Some(path) = default_model() else { return };
    let options = GpuOptions::default().max_binding(1 << 20);
    let gpu = Arc::new(adapters::gpu(&adapters::main(), options));
    let load_options = LoadOptions::default().context(64);
    let plan = ModelFile::open(&path)
        .unwrap()
        .plan(&gpu, &load_options, 1)
        .unwrap();
    assert!(plan.dispatches.len() > 215, "nothing is split");
    let model = load(&gpu, &path, &load_options);
    let reference = reference(&folder("smollm2").join("france"));
    let mut session = block_on(model.session()).unwrap();
    prefill(&mut session, &reference.tokens);
    let sampled = generate(&mut session, 8, &SamplerOptions::greedy());
    assert_eq!(reference.first_wrong(&sampled), None, "{sampled:?}");
}

/// Seven dispatches a layer and five around them at most, sampling included.
#[test]
fn dispatches_of_a_token() {
    let Some(path) = default_model() else { return };
    let file = ModelFile::open(&path).unwrap();
    for adapter in adapters::all() {
        let gpu = adapters::gpu(&adapter, GpuOptions::default());
        let plan = file.plan(&gpu, &LoadOptions::default(), 1).unwrap();
        let of = |layer| plan.dispatches.iter().filter(|d| d.layer == layer).count();
        assert!((0..30).all(|layer| of(Some(layer)) <= 7) && of(None) <= 5);
    }
}

#[test]
fn ids() {
    let Some(path) = default_model() else { return };
    let tokenizer = ModelFile::open(&path).unwrap().tokenizer().unwrap();
    for case in CASES {
        let reference = reference(&folder("smollm2").join(case));
        // The chat case is a rendered template, whose special tokens count.
        let ids = match *case {
            "chat" => tokenizer.encode_rendered(&reference.text),
            _ => tokenizer.encode(&reference.text, false),
        };
        assert_eq!(ids.unwrap(), reference.tokens, "{case}");
    }
}

/// Negative log-likelihood of each token but the first, summed in f64.
fn nll(logits: &[f32], tokens: &[u32]) -> f64 {
    let vocab_size = logits.len() / tokens.len();
    let rows = logits.chunks_exact(vocab_size).zip(&tokens[1..]);
    let row = |(row, &next): (&[f32], &u32)| {
        let max = f64::from(row.iter().copied().fold(f32::MIN, f32::max));
        let total: f64 = row.iter().map(|&v| (f64::from(v) - max).exp()).sum();
        max + total.ln() - f64::from(row[next as usize])
    };
    rows.map(row).sum()
}

#[test]
fn perplexity() {
    let Some(path) = default_model() else { return };
    let (_gpu, model) = open(&adapters::main(), &path, Precision::Mixed, &[]);
    let reference = reference(&folder("smollm2").join("licence-2k"));
    let mut session = block_on(model.session()).unwrap();
    let sum = nll(
        &prefill_all(&mut session, &reference.tokens),
        &reference.tokens,
    );
    let perplexity = |sum: f64| (sum / reference.nll_count as f64).exp();
    let (got, wanted) = (perplexity(sum), perplexity(reference.nll_sum));
    println!("perplexity {got:.6}, reference {wanted:.6}");
    assert!(
        (got / wanted - 1.0).abs() <= 1e-4,
        "perplexity {got} instead of {wanted}"
    );
}
