//! Small models against the references: programs that nobody here wrote, on 32-bit floats.

use std::{path::Path, sync::Arc};

use lantern_engine::{
    AdapterDescription, Gpu, GpuOptions, LoadOptions, ModelFile, Precision, SamplerOptions,
    file::Source,
};

use crate::support::{
    adapters,
    copies::{metadata_of, with_metadata},
    gguf,
    models::{assert_forced, folder, generate, load, load_file, logits, prefill_all, reference},
    nmse,
};

/// NMSE of all logits, and the first greedy token that differs where the reference is sure of it.
fn compare(gpu: &Arc<Gpu>, path: &Path, precision: Precision) -> (f64, Option<usize>) {
    let model = load(gpu, path, &LoadOptions::default().precision(precision));
    let reference = reference(path);
    let mut session = pollster::block_on(model.session()).unwrap();
    let error = nmse(&prefill_all(&mut session, &reference.tokens), &logits(path));
    let sampled = generate(
        &mut session,
        reference.greedy.len(),
        &SamplerOptions::greedy(),
    );
    assert_eq!(sampled.len(), reference.greedy.len());
    (error, reference.first_wrong(&sampled))
}

/// Compares every file on every adapter; NMSE at most `max`.
fn check(kind: &str, names: &[&str], precision: Precision, max: f64) {
    let mut failures = Vec::new();
    for adapter in adapters::all() {
        let gpu = open(&adapter, &[]);
        failures.extend(check_on(&gpu, kind, names, precision, max));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A GPU with checked shaders that prefers the variants named.
fn open(adapter: &AdapterDescription, variants: &[&str]) -> Arc<Gpu> {
    let options = GpuOptions::default()
        .checked(true)
        .variants(variants.iter().map(ToString::to_string).collect());
    Arc::new(adapters::gpu(adapter, options))
}

/// Compares every file on one GPU; what is wrong.
fn check_on(
    gpu: &Arc<Gpu>,
    kind: &str,
    names: &[&str],
    precision: Precision,
    max: f64,
) -> Vec<String> {
    let mut failures = Vec::new();
    let adapter = &gpu.adapter().name;
    for name in names {
        let path = folder(kind).join(format!("{name}.gguf"));
        let (error, differs) = compare(gpu, &path, precision);
        println!("{adapter:<40} {name:<24} NMSE {error:.2e}");
        if error > max || differs.is_some() {
            failures.push(format!(
                "{adapter}: {name}: NMSE {error:.2e}, greedy differs at {differs:?}"
            ));
        }
    }
    failures
}

/// Reference files of families.
pub const FAMILIES: &[&str] = &[
    "llama",
    "llama-mha-tied",
    "llama3-rope-factors",
    "llama-yarn",
    "llama-linear-rope",
    "mixtral",
    "qwen2",
    "qwen3",
    "qwen3moe",
    "gemma2",
    "gemma3",
    "phi3",
    "smollm3",
    "granite",
    "olmo2",
    "gpt2",
];
/// Reference files of stored types.
pub const FORMATS: &[&str] = &[
    "F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q2_K", "Q3_K", "Q5_K",
    "Q6_K", "IQ4_NL", "IQ4_XS", "IQ3_S", "TQ1_0", "TQ2_0", "MXFP4",
];

/// Reference files of families of 2025 and 2026.
pub const FAMILIES_2026: &[&str] = &[
    "qwen35",
    "qwen35-tied-layers",
    "qwen35-mtp",
    "qwen35-mtp-own",
    "qwen35moe",
    "qwen35moe-mtp",
    "qwen3next",
    "qwen3next-ssm-in",
    "muse-glimmer",
    "exaone4",
    "exaone4-32b",
    "olmo3",
    "olmo3-plain",
    "glm4",
    "glm4moe",
    "glm4moe-qk",
    "hunyuan-dense",
    "hunyuan-dense-alpha",
    "ernie4-5",
    "ernie4-5-bias",
    "ernie4-5-moe",
    "seed-oss",
    "apertus",
    "command-r",
    "cohere2",
    "starcoder2",
    "stablelm",
    "stablelm-parallel",
    "gemma",
    "phi4-mini",
    "phi4-mini-long",
    "arcee",
    "minimax-m2",
    "dots1",
    "bailingmoe2",
    "laguna",
    "laguna-m",
    "gemma4-e",
    "gemma4-moe",
    "gemma4-dense",
    "gemma4-plain",
    "gpt-oss",
    "gpt-oss-mxfp4",
    "mistral3",
    "mistral3-plain",
    "llama4",
    "bitnet",
    "lfm2",
    "lfm2moe",
    "lfm2-swa",
    "deepseek2-lite",
    "deepseek2-v3",
    "deepseek2-plain",
    "deepseek2-kvb",
    "deepseek2-temp",
    "deepseek2-flash-mtp",
    "kimi-linear",
    "rwkv7",
    "mamba2",
    "granitehybrid",
    "granitehybrid-rope",
    "granitehybrid-moe",
    "nemotron-h",
    "nemotron-h-moe",
    "nemotron-h-moe-latent",
    "nemotron-h-moe-mtp",
    "falcon-h1",
    "falcon-h1-norm",
    "mamba",
    "mamba-falcon",
    "jamba",
];

/// Reference files of encoders.
pub const ENCODERS: &[&str] = &[
    "bert",
    "nomic-bert",
    "nomic-bert-moe",
    "jina-bert-v2",
    "jina-bert-v2-code",
    "jina-bert-v3",
    "modern-bert",
    "modern-bert-silu",
    "neo-bert",
    "eurobert",
    "gemma-embedding",
];

#[test]
fn families_2026_exact() {
    check("families-2026", FAMILIES_2026, Precision::Exact, 1e-9);
}

#[test]
fn families_2026_mixed() {
    check("families-2026", FAMILIES_2026, Precision::Mixed, 1e-4);
}

#[test]
fn families_exact() {
    check("families", FAMILIES, Precision::Exact, 1e-6);
}

#[test]
fn families_default() {
    check("families", FAMILIES, Precision::Mixed, 1e-4);
}

#[test]
fn formats_exact() {
    check("formats", FORMATS, Precision::Exact, 1e-6);
}

#[test]
fn formats_default() {
    check("formats", FORMATS, Precision::Mixed, 1e-4);
}

/// Architectures that are another's by a second name: its file under that name computes the same. Granite's factors, which
/// the file leaves out, are 1.
#[test]
fn aliases_compute_what_their_families_do() {
    let gpu = open(&adapters::main(), &[]);
    for (name, alias) in [
        ("llama", "mistral"),
        ("mixtral", "mixtral"),
        ("mixtral", "granitemoe"),
    ] {
        let path = folder(&format!("families/{name}.gguf"));
        let file = ModelFile::open(&path).unwrap();
        let renamed = |(key, value): (Vec<u8>, Vec<u8>)| match key.strip_prefix(b"llama.") {
            Some(key) => ([alias.as_bytes(), b".", key].concat(), value),
            None if key == b"general.architecture" => (key, gguf::text(alias.as_bytes())),
            None => (key, value),
        };
        let metadata = metadata_of(&file).into_iter().map(renamed).collect();
        let copy = Source::from_bytes(with_metadata(&file, metadata));
        let copy = ModelFile::from_source(copy).unwrap();
        let architecture = copy.metadata().text("general.architecture").unwrap();
        assert_eq!(architecture, Some(alias));
        let computed = |file: &ModelFile| {
            let model = load_file(&gpu, file, &LoadOptions::default());
            let mut session = pollster::block_on(model.session()).unwrap();
            prefill_all(&mut session, &reference(&path).tokens)
        };
        assert_eq!(computed(&copy), computed(&file), "{alias}");
    }
}

/// Reference files that the variants of a kernel meet, as folder and names: where it reads weights the first nine formats,
/// one of which has blocks of 256.
fn files_for(kernel: &str) -> (&'static str, &'static [&'static str]) {
    match kernel {
        "matvec" | "matmul" => ("formats", &FORMATS[..9]),
        "matvec_integer" | "matmul_integer" => ("formats", &FORMATS[3..9]),
        "moe_route" | "moe_sort" => ("families", &["mixtral"]),
        "delta_net" => ("families-2026", &["qwen35"]),
        "delta_net_chunks" | "delta_net_weights" => {
            ("families-2026", &["qwen35-tied-layers", "qwen3next"])
        }
        "copy" => ("families-2026", &["mamba"]),
        "token_shift" | "wkv7" => ("families-2026", &["rwkv7"]),
        "scan" => ("families-2026", &["granitehybrid", "mamba", "jamba"]),
        _ => ("formats", &FORMATS[4..5]),
    }
}

/// Whether plans of those files have the kernel. The others measure an adapter, make random weights, or are for caches of
/// blocks and for long contexts.
fn in_plans(kernel: &str) -> bool {
    const OTHERS: [&str; 6] = [
        "attention_combine",
        "multiply_add",
        "multiply_matrices",
        "noise",
        "read",
        "store",
    ];
    !OTHERS.contains(&kernel)
}

/// Every variant that an adapter can run, asked for by name: no tolerance is another.
#[test]
fn default_with_each_variant_asked_for() {
    let mut failures = Vec::new();
    for adapter in adapters::all() {
        let has = open(&adapter, &[]);
        let mut names: Vec<(&str, &str, &[&str])> = Vec::new();
        for kernel in lantern_kernels::ALL.iter().filter(|k| in_plans(k.name)) {
            let (kind, files) = files_for(kernel.name);
            for variant in kernel.variants.iter().filter(|v| has.supports(v)) {
                match names.iter_mut().find(|(name, ..)| *name == variant.name) {
                    Some((_, _, known)) if known.len() < files.len() => *known = files,
                    Some(_) => {}
                    None => names.push((variant.name, kind, files)),
                }
            }
        }
        for (name, kind, files) in names {
            println!("{name}:");
            let gpu = open(&adapter, &[name]);
            for file in files {
                let path = folder(kind).join(format!("{file}.gguf"));
                assert_forced(&gpu, &path, &LoadOptions::default(), &[name]);
            }
            let found = check_on(&gpu, kind, files, Precision::Mixed, 1e-4);
            failures.extend(found.into_iter().map(|what| format!("{name}: {what}")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
