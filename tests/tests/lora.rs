//! Adapters beside weights against the same adapters merged into them, on the CPU, in f64.

use std::{fs, path::PathBuf};

use half::f16;
use lantern_engine::{LoadOptions, ModelFile, Precision, SamplerOptions, file::Value};
use lantern_kernels::random::Random;
use pollster::block_on;

use crate::support::{
    adapters,
    gguf::{self, Gguf},
    models::{feed_all, folder, generate, load, load_file, reference},
    nmse,
};

/// Name, shape and values.
type Tensor = (String, Vec<u64>, Vec<f32>);

const RANK: u64 = 4;
const ALPHA: f32 = 6.0;

fn exact() -> LoadOptions {
    LoadOptions {
        precision: Precision::Exact,
        ..LoadOptions::default()
    }
}

/// A GGUF file of f32 in memory.
fn written(metadata: Vec<(String, Vec<u8>)>, tensors: &[Tensor]) -> Vec<u8> {
    let mut file = Gguf {
        metadata: metadata
            .into_iter()
            .map(|(key, value)| (key.into_bytes(), value))
            .collect(),
        tensors: vec![],
        data: 0,
        ..Gguf::sound()
    };
    let mut data: Vec<u8> = Vec::new();
    for (name, shape, values) in tensors {
        file.tensors
            .push(gguf::tensor(name, shape, 0, data.len() as u64));
        data.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        data.resize(data.len().next_multiple_of(32), 0);
    }
    let mut bytes = file.bytes();
    bytes.extend(data);
    bytes
}

fn saved(name: &str, bytes: &[u8]) -> PathBuf {
    let path =
        std::env::temp_dir().join(format!("lantern-lora-{}-{name}.gguf", std::process::id()));
    fs::write(&path, bytes).unwrap();
    path
}

fn base(family: &str) -> (ModelFile, Vec<Tensor>) {
    let file = ModelFile::open(&folder("families").join(format!("{family}.gguf"))).unwrap();
    let mut tensors = Vec::new();
    for tensor in file.tensors() {
        let bytes = block_on(file.data(tensor, 0..tensor.bytes)).unwrap();
        let floats = |b: &[u8]| match b {
            [a, b] => f16::from_le_bytes([*a, *b]).to_f32(),
            four => f32::from_le_bytes(four.try_into().unwrap()),
        };
        let size = if tensor.kind.name() == "F16" { 2 } else { 4 };
        let values = bytes.chunks_exact(size).map(floats).collect();
        tensors.push((tensor.name.clone(), tensor.shape.clone(), values));
    }
    (file, tensors)
}

/// A and B for every matrix of the blocks.
fn low_rank(tensors: &[Tensor], seed: u64) -> Vec<Tensor> {
    let mut random = Random::new(seed);
    let mut all = Vec::new();
    for (name, shape, _) in tensors
        .iter()
        .filter(|t| t.0.starts_with("blk.") && t.1.len() == 2)
    {
        let mut half = |end: &str, shape: [u64; 2]| {
            let values = random.floats((shape[0] * shape[1]) as usize);
            let small = values.iter().map(|v| v * 0.05).collect();
            all.push((format!("{name}.{end}"), shape.to_vec(), small));
        };
        half("lora_a", [shape[0], RANK]);
        half("lora_b", [RANK, shape[1]]);
    }
    all
}

fn adapter_file(family: &str, tensors: &[Tensor]) -> Vec<u8> {
    let text = |v: &str| gguf::text(v.as_bytes());
    let metadata = vec![
        ("general.type".to_owned(), text("adapter")),
        ("adapter.type".to_owned(), text("lora")),
        ("general.architecture".to_owned(), text(family)),
        (
            "adapter.lora.alpha".to_owned(),
            gguf::value(gguf::F32, &ALPHA.to_le_bytes()),
        ),
    ];
    written(metadata, tensors)
}

/// W + factor alpha / rank B A
fn merged(tensors: &mut [Tensor], adapter: &[Tensor], factor: f32) {
    for pair in adapter.chunks_exact(2) {
        let name = pair[0].0.strip_suffix(".lora_a").unwrap();
        let (_, shape, weights) = tensors.iter_mut().find(|t| t.0 == name).unwrap();
        let (cols, rank) = (shape[0] as usize, RANK as usize);
        for (row, weights) in weights.chunks_exact_mut(cols).enumerate() {
            for (col, w) in weights.iter_mut().enumerate() {
                let product = |r: usize| {
                    f64::from(pair[1].2[row * rank + r]) * f64::from(pair[0].2[r * cols + col])
                };
                let sum: f64 = (0..rank).map(product).sum();
                *w = (f64::from(*w) + f64::from(factor * ALPHA / RANK as f32) * sum) as f32;
            }
        }
    }
}

fn metadata_of(file: &ModelFile) -> Vec<(String, Vec<u8>)> {
    let entry = |(key, value): (&String, &Value)| {
        let bytes = match value {
            Value::Unsigned(v) => gguf::value(gguf::U32, &(*v as u32).to_le_bytes()),
            Value::Float(v) => gguf::value(gguf::F32, &(*v as f32).to_le_bytes()),
            Value::Text(v) => gguf::text(v.as_bytes()),
            other => panic!("{key}: {other:?}"),
        };
        (key.clone(), bytes)
    };
    file.metadata().0.iter().map(entry).collect()
}

/// Two adapters at once, in prefill and decode; then one of them; then none.
#[test]
fn adapters_beside_weights_are_adapters_merged() {
    for (family, many) in [
        ("llama", true),
        ("qwen2", false),
        ("gemma2", false),
        ("gpt2", false),
    ] {
        let (file, tensors) = base(family);
        let both = [low_rank(&tensors, 1), low_rank(&tensors, 2)];
        let paths =
            [0, 1].map(|i| saved(&format!("{family}-{i}"), &adapter_file(family, &both[i])));
        let tokens = reference(&folder("families").join(family)).tokens;
        let engines = if many {
            adapters::all()
        } else {
            vec![adapters::main()]
        };
        for description in engines {
            let engine = adapters::open(&description);
            let model = load_file(&engine, &file, &exact());
            let loaded = paths
                .clone()
                .map(|path| block_on(model.adapter(&ModelFile::open(&path).unwrap())).unwrap());
            let mut session = block_on(model.session()).unwrap();
            for factors in [[1.0, -0.5], [0.0, 2.0], [0.0, 0.0]] {
                let pairs = loaded
                    .iter()
                    .cloned()
                    .zip(factors)
                    .filter(|(_, factor)| *factor != 0.0);
                block_on(session.set_adapters(&pairs.collect::<Vec<_>>())).unwrap();
                let mut whole = tensors.clone();
                both.iter()
                    .zip(factors)
                    .for_each(|(adapter, factor)| merged(&mut whole, adapter, factor));
                let path = saved(
                    &format!("{family}-merged"),
                    &written(metadata_of(&file), &whole),
                );
                let wanted_model = load(&engine, &path, &exact());
                let mut wanted = block_on(wanted_model.session()).unwrap();
                let error = nmse(
                    &feed_all(&mut session, &tokens),
                    &feed_all(&mut wanted, &tokens),
                );
                println!(
                    "{} {family} {factors:?}: NMSE {error:.2e}",
                    description.name
                );
                assert!(
                    error < 1e-9,
                    "{}: {family} {factors:?}: NMSE {error:.2e}",
                    description.name
                );
                let drawn = |session| generate(session, 8, &SamplerOptions::greedy());
                assert_eq!(
                    drawn(&mut session),
                    drawn(&mut wanted),
                    "{family} {factors:?}"
                );
                fs::remove_file(path).unwrap();
            }
        }
        for path in paths {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn adapters_that_do_not_fit_are_refused() {
    let (file, tensors) = base("llama");
    let engine = adapters::open(&adapters::main());
    let model = load_file(&engine, &file, &exact());
    let refused = |what: &str, bytes: &[u8], says: &str| {
        let path = saved(what, bytes);
        let error = block_on(model.adapter(&ModelFile::open(&path).unwrap())).err();
        fs::remove_file(path).unwrap();
        let error = error
            .unwrap_or_else(|| panic!("{what} is taken"))
            .to_string();
        assert!(error.contains(says), "{what}: {error}");
    };
    let sound = low_rank(&tensors, 1);
    let changed = |change: &dyn Fn(&mut Vec<Tensor>)| {
        let mut tensors = sound.clone();
        change(&mut tensors);
        adapter_file("llama", &tensors)
    };
    refused("family", &adapter_file("qwen2", &sound), "qwen2");
    refused(
        "model",
        &written(metadata_of(&file), &tensors),
        "no LoRA adapter",
    );
    refused("empty", &adapter_file("llama", &[]), "no tensors");
    refused("half", &changed(&|t| t.truncate(1)), "lora_b is missing");
    refused(
        "name",
        &changed(&|t| t[0].0 = "x".into()),
        "neither A nor B",
    );
    refused(
        "unknown",
        &changed(&|t| (t[0].0, t[1].0) = ("x.weight.lora_a".into(), "x.weight.lora_b".into())),
        "does not have",
    );
    refused("cols", &changed(&|t| t[0].1 = vec![RANK, 64]), "do not fit");
    refused("rank", &changed(&|t| t[1].1[0] = 2), "do not fit");
    let token = |half: &str, shape: [u64; 2]| {
        let values = vec![0.0; (shape[0] * shape[1]) as usize];
        (format!("token_embd.weight.{half}"), shape.to_vec(), values)
    };
    let embedding = [token("lora_a", [64, RANK]), token("lora_b", [RANK, 128])];
    refused(
        "embedding",
        &adapter_file("llama", &embedding),
        "are not run here",
    );
}
