//! Models larger than their share of the GPU's memory: layers that come from the file compute what layers that stay do.

use std::{ops::ControlFlow, path::Path, process::Command, sync::Arc};

use lantern_engine::{
    Error, Gpu, GpuOptions, Limit, LoadOptions, Model, ModelFile, Precision, SamplerOptions,
};
use pollster::block_on;

use crate::support::{
    adapters,
    copies::metadata_of,
    default_model::default_model,
    gguf::{self, Gguf},
    models::{folder, generate, load, load_file, prefill, prefill_all, reference},
    nmse,
};

/// A family of each mixer: latent attention, delta nets of both kinds, short convolutions, RWKV-7, Mamba of both kinds.
const MIXERS: [&str; 7] = [
    "deepseek2-v3",
    "qwen35",
    "kimi-linear",
    "lfm2",
    "rwkv7",
    "mamba",
    "mamba2",
];

const TOO_LITTLE: u64 = 1000; // bytes in which nothing fits

fn options(gpu_memory: Option<u64>) -> LoadOptions {
    LoadOptions::default()
        .precision(Precision::Exact)
        .gpu_memory(gpu_memory)
}

fn try_load(gpu: &Arc<Gpu>, path: &Path, options: &LoadOptions) -> Result<Model, Error> {
    let file = ModelFile::open(path).unwrap();
    let mut each = |_, _| ControlFlow::Continue(());
    block_on(Model::load(gpu, &file, options, &mut each))
}

/// Bytes that the refusal of too few names, in megabytes, too; programs find them without reading the message.
fn min_budget(refused: &Error) -> u64 {
    let Error::DoesNotFit {
        limit: Limit::Memory,
        needed,
        available: Some(TOO_LITTLE),
        message: why,
    } = refused
    else {
        panic!("{refused}")
    };
    let named = why.split("give ").nth(1).expect("how many it takes");
    let megabytes: f64 = named.split(' ').next().unwrap().parse().unwrap();
    assert!((megabytes * 1e6 - *needed as f64).abs() < 1e5, "{why}");
    *needed
}

#[test]
fn streamed_layers_compute_what_others_do() {
    for (number, adapter) in adapters::all().iter().enumerate() {
        let gpu = adapters::open(adapter);
        let mut streamed = 0;
        let families = std::fs::read_dir(folder("families")).unwrap();
        let of_2026 = |name| folder("families-2026").join(name).with_extension("gguf");
        let mixers = MIXERS.map(of_2026);
        let must = [mixers.as_slice(), &[of_2026("gemma4-e")]].concat();
        let paths = families.map(|entry| entry.unwrap().path());
        for path in paths.chain(must.clone()) {
            if path.extension().is_none_or(|ending| ending != "gguf") {
                continue;
            }
            let mut few = ["gemma3.gguf", "mixtral.gguf"].iter();
            if number > 0 && !few.any(|name| path.ends_with(name)) {
                continue;
            }
            let tokens = reference(&path).tokens;
            let whole = load(&gpu, &path, &options(None));
            let before = gpu.counters().gpu_bytes;
            let refused = try_load(&gpu, &path, &options(Some(TOO_LITTLE)));
            let budget = min_budget(&refused.err().expect("nothing fits so few bytes"));
            let model = try_load(&gpu, &path, &options(Some(budget))).unwrap();
            let Some(streaming) = model.streaming() else {
                assert!(!must.contains(&path), "{}", path.display());
                continue; // of so few layers two on their way are nearly all
            };
            streamed += 1;
            assert!(streaming.layers > 0 && streaming.bytes_per_second > 0.0);
            assert_eq!(model.fingerprint(), whole.fingerprint());
            let mut session = block_on(model.session()).unwrap();
            let taken = gpu.counters().gpu_bytes - before;
            assert!(taken <= budget, "{taken} of {budget}: {}", path.display());
            let mut plain = block_on(whole.session()).unwrap();
            let logits = prefill_all(&mut session, &tokens);
            let error = nmse(&logits, &prefill_all(&mut plain, &tokens));
            assert!(error < 1e-12, "{}: NMSE {error:.2e}", path.display());
            let greedy = SamplerOptions::greedy();
            assert_eq!(
                generate(&mut session, 12, &greedy),
                generate(&mut plain, 12, &greedy)
            );
        }
        let wanted = if number > 0 { 1 } else { 8 };
        assert!(streamed >= wanted, "{}: {streamed}", adapter.name);
    }
}

/// Tables that tokens look up stay in the file where all else fits, and in a model whose layers stream: a session computes
/// the same, bit for bit, and another beside it, too.
#[test]
fn tables_in_the_file_compute_what_they_do_on_the_gpu() {
    // Embeddings of layers, beside an embedding that is the output, too; and one that is not.
    let all = [
        ("gemma4-e", "per_layer_token_embd.weight"),
        ("laguna", "token_embd.weight"),
    ];
    for (number, adapter) in adapters::all().iter().enumerate() {
        let gpu = adapters::open(adapter);
        for (name, table) in &all[..if number > 0 { 1 } else { 2 }] {
            let path = folder("families-2026").join(name).with_extension("gguf");
            let options = |budget| options(budget).prefill_batch(16);
            let tokens = reference(&path).tokens;
            let table = ModelFile::open(&path).unwrap().tensor(table).unwrap().bytes;
            let taken = || gpu.counters().gpu_bytes;
            assert_eq!(taken(), 0);
            let whole = load(&gpu, &path, &options(None));
            let of_model = taken();
            let session = block_on(whole.session()).unwrap();
            let of_all = taken();
            drop(session);
            let wanted = said_by(&whole, &tokens);
            assert_eq!(whole.tables_in_file(), 0);
            drop(whole);
            let refused = try_load(&gpu, &path, &options(Some(TOO_LITTLE)));
            let least = min_budget(&refused.err().unwrap());
            for (budget, streams) in [(of_all - 1, false), (least, true)] {
                let model = try_load(&gpu, &path, &options(Some(budget))).unwrap();
                assert_eq!(model.tables_in_file(), table, "{name} in {budget} bytes");
                assert_eq!(model.streaming().is_some(), streams, "{name}");
                assert!(streams || taken() + table <= of_model, "{name}: uploaded");
                let session = block_on(model.session()).unwrap();
                assert!(taken() <= budget, "{} of {budget}: {name}", taken());
                drop(session);
                assert!(
                    said_by(&model, &tokens) == wanted,
                    "{name} in {budget} bytes"
                );
            }
        }
    }
}

/// Logits after each of `tokens`, what a session of the model samples then, after a rewind, and in a fork, by turns with the
/// first.
fn said_by(model: &Model, tokens: &[u32]) -> (Vec<f32>, Vec<u32>, Vec<u32>, Vec<u32>) {
    let greedy = SamplerOptions::greedy();
    let mut session = block_on(model.session()).unwrap();
    let logits = prefill_all(&mut session, tokens);
    let mut fork = block_on(session.fork()).unwrap();
    let first = generate(&mut session, 6, &greedy);
    session.rewind(tokens.len() - 3).unwrap();
    prefill(&mut session, &tokens[tokens.len() - 3..]);
    prefill(&mut fork, &tokens[..1]);
    let again = generate(&mut session, 6, &greedy);
    let other = generate(&mut fork, 6, &SamplerOptions::default());
    (logits, first, again, other)
}

#[test]
fn a_model_in_32_mib_says_the_same() {
    let Some(path) = default_model() else { return };
    for adapter in adapters::all() {
        let gpu = adapters::open(&adapter);
        let short = |gpu_memory| options(gpu_memory).context(128);
        let model = load(&gpu, &path, &short(Some(32 << 20)));
        let bytes = gpu.counters().gpu_bytes;
        let mut session = block_on(model.session()).unwrap();
        assert!(gpu.counters().gpu_bytes <= 32 << 20, "{bytes} before");
        let expected = reference(&folder("smollm2").join("france"));
        prefill(&mut session, &expected.tokens);
        let sampled = generate(&mut session, 4, &SamplerOptions::greedy());
        assert_eq!(expected.first_wrong(&sampled), None, "{}", adapter.name);
        // Back to the start, in another session, and one beside it.
        let mut fork = block_on(session.fork()).unwrap();
        session.rewind(expected.tokens.len()).unwrap();
        let again = generate(&mut session, 4, &SamplerOptions::greedy());
        assert_eq!(again, sampled);
        generate(&mut fork, 1, &SamplerOptions::greedy());
        assert!(model.streaming().unwrap().bytes_per_pass > model.weight_bytes() / 2);
    }
}

/// Without a limit: where memory ends while the model is loaded, it is loaded anew into what there was, and streams.
#[test]
fn what_turns_out_not_to_fit_streams() {
    let Some(path) = default_model() else { return };
    let file = ModelFile::open(&path).unwrap();
    let short = options(None).context(128);
    for adapter in adapters::all() {
        let memory_max = 48 << 20; // of 85 MB
        let gpu = adapters::gpu(&adapter, GpuOptions::default().memory_max(memory_max));
        let model = load_file(&Arc::new(gpu), &file, &short);
        let (streaming, budget) = (model.streaming().unwrap(), model.budget().unwrap());
        assert!(streaming.bytes_per_pass > 0 && budget < memory_max);
        let mut session = block_on(model.session()).unwrap();
        let expected = reference(&folder("smollm2").join("france"));
        prefill(&mut session, &expected.tokens);
        let sampled = generate(&mut session, 2, &SamplerOptions::greedy());
        assert_eq!(expected.first_wrong(&sampled), None, "{}", adapter.name);
    }
}

/// A file with the header of a synthetic model, and holes where its weights would be.
fn hollow(shape: &str, path: &Path) -> ModelFile {
    let model = ModelFile::synthetic(shape).unwrap();
    let tensors = model.tensors().iter().map(|t| {
        let kind = t.kind.id();
        gguf::tensor(&t.name, &t.shape, kind, t.offset)
    });
    let file = Gguf {
        metadata: metadata_of(&model),
        tensors: tensors.collect(),
        data: 0,
        ..Gguf::sound()
    };
    let header = file.bytes();
    let all = model.tensors().iter().map(|t| t.offset + t.bytes).max();
    std::fs::write(path, &header).unwrap();
    let out = std::fs::File::options().write(true).open(path).unwrap();
    out.set_len(header.len() as u64 + all.unwrap()).unwrap();
    ModelFile::open(path).unwrap()
}

#[test]
fn a_file_of_gigabytes_takes_little_memory() {
    const BUDGET: u64 = 400 << 20;
    if !is_alone("streaming::a_file_of_gigabytes_takes_little_memory") {
        return;
    }
    let path = std::env::temp_dir().join(format!("lantern-hollow-{}.gguf", std::process::id()));
    let file = hollow("llama-3b:q5_0", &path);
    assert!(file.len() > 2 << 30);
    let adapter = &adapters::all()[0];
    let gpu = adapters::open(adapter);
    let few = options(Some(BUDGET)).context(64);
    let model = load_file(&gpu, &file, &few);
    std::fs::remove_file(&path).unwrap(); // what is mapped stays
    let mut session = block_on(model.session()).unwrap();
    prefill(&mut session, &[1, 2, 3]);
    // Of logits that are all alike the first is sampled.
    assert_eq!(generate(&mut session, 2, &SamplerOptions::greedy()), [0, 0]);
    // The adapter is a CPU: its memory is this process's. Two layers may be on their way twice.
    let peak = status_bytes("VmHWM:");
    assert!(peak < BUDGET + (700 << 20), "{peak} bytes at most");
}

/// Whether this process runs `test` alone, so that its peak of memory is that test's. If not, runs the test so, in a
/// process of its own, and asserts that it passes there.
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "LANTERN_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut own = Command::new(std::env::current_exe().unwrap());
    own.args([test, "--exact", "--nocapture"]).env(ALONE, "1");
    let output = own.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "{}\n{said}{errors}", output.status);
    false
}

/// A size of this process.
fn status_bytes(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    let kilobytes = line.split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

#[test]
fn where_all_fits_nothing_streams() {
    let adapter = &adapters::all()[0];
    let gpu = adapters::open(adapter);
    let path = folder("families").join("llama.gguf");
    let model = load(&gpu, &path, &options(Some(1 << 40)));
    assert!(model.streaming().is_none());
    let none = try_load(&gpu, &path, &options(Some(0))).err().unwrap();
    assert!(none.to_string().contains("try a smaller context"), "{none}");
}

/// Random weights that stay are made on the GPU; those that stream are read as a file's are.
#[test]
fn random_weights_are_the_same_wherever_they_are_made() {
    for adapter in adapters::all() {
        let gpu = adapters::open(&adapter);
        let types = if adapter.name.contains("SwiftShader") {
            1
        } else {
            3
        };
        for stored in &["q4_0", "q8_0", "f16"][..types] {
            let file = ModelFile::synthetic(&format!("smollm2-135m:{stored}"));
            let file = file.unwrap().synthetic_layers(3).unwrap();
            let all_at = |gpu_memory| {
                let options = options(gpu_memory).context(64);
                let mut each = |_, _| ControlFlow::Continue(());
                block_on(Model::load(&gpu, &file, &options, &mut each))
            };
            let refused = all_at(Some(TOO_LITTLE)).err().unwrap();
            let streamed = all_at(Some(min_budget(&refused))).unwrap();
            assert!(streamed.streaming().is_some());
            let logits = |model: Model| {
                let mut session = block_on(model.session()).unwrap();
                prefill_all(&mut session, &[1, 2, 3])
            };
            let (streamed, made) = (logits(streamed), logits(all_at(None).unwrap()));
            assert!(made.iter().any(|v| *v != 0.0));
            assert!(made == streamed, "{}: {stored}", adapter.name);
        }
    }
}
