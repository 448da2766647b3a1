//! LoRA adapters beside weights against the same merged into them, on the CPU, in f64.

use std::{fs, sync::Arc};

use half::f16;
use lantern_engine::{
    AdapterDescription, Gpu, GpuOptions, LoadOptions, ModelFile, Precision, SamplerOptions,
};
use pollster::block_on;
use serde_json::json;

use crate::support::{
    adapters,
    copies::metadata_of,
    hugging_face,
    lora::{ALPHA, RANK, Tensor, base, lora_file, low_rank, path_of, refusal_of, saved, written},
    models::{folder, generate, load, load_file, prefill, prefill_all, reference},
    nmse,
};

fn exact() -> LoadOptions {
    LoadOptions::default().precision(Precision::Exact)
}

/// W + factor alpha / rank B A
fn merged(tensors: &mut [Tensor], lora: &[Tensor], factor: f32) {
    for pair in lora.chunks_exact(2) {
        let name = pair[0].0.strip_suffix(".lora_a").unwrap();
        let (_, shape, weights) = tensors.iter_mut().find(|t| t.0 == name).unwrap();
        let (cols, rows, rank) = (shape[0] as usize, shape[1] as usize, RANK as usize);
        // Each expert has an A and a B of its own.
        let each = weights
            .chunks_exact_mut(cols * rows)
            .zip(pair[0].2.chunks_exact(rank * cols))
            .zip(pair[1].2.chunks_exact(rows * rank));
        for ((weights, a), b) in each {
            for (row, weights) in weights.chunks_exact_mut(cols).enumerate() {
                for (col, w) in weights.iter_mut().enumerate() {
                    let product =
                        |r: usize| f64::from(b[row * rank + r]) * f64::from(a[r * cols + col]);
                    let sum: f64 = (0..rank).map(product).sum();
                    *w = (f64::from(*w) + f64::from(factor * ALPHA / RANK as f32) * sum) as f32;
                }
            }
        }
    }
}

/// Two LoRAs at once, in prefill and decode; then one of them; then none.
fn compare(
    family: &str,
    (file, tensors): &(ModelFile, Vec<Tensor>),
    description: &AdapterDescription,
) {
    let both = [low_rank(tensors, 1), low_rank(tensors, 2)];
    let metadata = file.metadata();
    let architecture = metadata.text("general.architecture").unwrap().unwrap();
    let tokens = reference(&path_of(family)).tokens;
    let gpu = adapters::open(description);
    let model = load_file(&gpu, file, &exact());
    let loaded = [0, 1].map(|i| {
        let path = saved(&format!("{family}-{i}"), &lora_file(architecture, &both[i]));
        let lora = block_on(model.load_lora(&ModelFile::open(&path).unwrap())).unwrap();
        fs::remove_file(path).unwrap();
        lora
    });
    let mut session = block_on(model.session()).unwrap();
    for factors in [[1.0, -0.5], [0.0, 2.0], [0.0, 0.0]] {
        let pairs = loaded.iter().cloned().zip(factors);
        let used: Vec<_> = pairs.filter(|(_, factor)| *factor != 0.0).collect();
        block_on(session.set_loras(&used)).unwrap();
        let mut whole = tensors.clone();
        both.iter()
            .zip(factors)
            .for_each(|(lora, factor)| merged(&mut whole, lora, factor));
        let path = saved(
            &format!("{family}-merged"),
            &written(metadata_of(file), &whole, None),
        );
        let mut wanted = block_on(load(&gpu, &path, &exact()).session()).unwrap();
        fs::remove_file(path).unwrap();
        let error = nmse(
            &prefill_all(&mut session, &tokens),
            &prefill_all(&mut wanted, &tokens),
        );
        let what = format!(
            "{}: {family} {factors:?}: NMSE {error:.2e}",
            description.name
        );
        println!("{what}");
        assert!(error < 1e-9, "{what}");
        let sampled = |session| generate(session, 8, &SamplerOptions::greedy());
        assert_eq!(sampled(&mut session), sampled(&mut wanted), "{what}");
    }
}

#[test]
fn loras_beside_weights_are_loras_merged() {
    for family in ["llama", "mixtral"] {
        for description in adapters::all() {
            compare(family, &base(family), &description);
        }
    }
    for family in ["qwen2", "gemma2", "gpt2", "phi3", "qwen3moe"] {
        compare(family, &base(family), &adapters::main());
    }
}

/// A family of each mixer. Queries of Qwen 3.5 lie beside their gates, head by head; Mamba's `ssm_x` makes steps of low rank,
/// and b and c: rows of B lie as those of the matrices do.
#[test]
fn loras_of_every_mixer_are_loras_merged() {
    for family in MIXERS {
        compare(family, &base(family), &adapters::main());
    }
}

const MIXERS: [&str; 10] = [
    "deepseek2-v3",
    "qwen35",
    "qwen3next",
    "kimi-linear",
    "lfm2",
    "rwkv7",
    "mamba",
    "mamba2",
    "gemma4-e",
    "falcon-h1",
];

#[test]
fn tensors_that_no_adapter_changes_are_refused_by_name() {
    for family in MIXERS {
        let (file, tensors) = base(family);
        let architecture = file.metadata().text("general.architecture").unwrap();
        let architecture = architecture.unwrap();
        let model = load_file(&adapters::open(&adapters::main()), &file, &exact());
        for (name, shape, _) in tensors.iter().filter(|t| t.1.len() > 1) {
            let Some(wanted) = refusal_of(name) else {
                continue;
            };
            let half = |half: &str, first: u64, second: u64| {
                let shape = [&[first, second], &shape[2..]].concat();
                let values = vec![0.0; shape.iter().product::<u64>() as usize];
                (format!("{name}.{half}"), shape, values)
            };
            let pair = [
                half("lora_a", shape[0], RANK),
                half("lora_b", RANK, shape[1]),
            ];
            let path = saved("refused", &lora_file(architecture, &pair));
            let error = block_on(model.load_lora(&ModelFile::open(&path).unwrap())).err();
            fs::remove_file(path).unwrap();
            let error = error.unwrap_or_else(|| panic!("{family}: {name} is taken"));
            let text = error.to_string();
            assert!(text.contains(name) && text.contains(wanted), "{text}");
        }
    }
}

/// Gates and ups that are stored unlike are two matrices.
#[test]
fn loras_beside_gates_and_ups_stored_unlike_are_loras_merged() {
    let (file, mut tensors) = base("llama");
    let ups = tensors
        .iter_mut()
        .filter(|t| t.0.ends_with("ffn_up.weight"));
    for value in ups.flat_map(|tensor| &mut tensor.2) {
        *value = f16::from_f32(*value).to_f32();
    }
    let path = saved(
        "unlike",
        &written(metadata_of(&file), &tensors, Some("ffn_up.weight")),
    );
    let unlike = ModelFile::open(&path).unwrap();
    compare("llama", &(unlike, tensors), &adapters::main());
    fs::remove_file(path).unwrap();
}

/// Names that `peft` has for matrices.
const MODULES: &[(&str, &str)] = &[
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// Writes an adapter as `peft` does: rows of queries and keys in the order of `transformers`.
fn peft_folder(
    name: &str,
    file: &ModelFile,
    pairs: &[Tensor],
    config: &serde_json::Value,
) -> hugging_face::Folder {
    let folder = hugging_face::folder(name);
    let numbers = file.config().unwrap();
    let interleaved = numbers.family == "llama";
    let mut all = Vec::new();
    for (name, shape, values) in pairs {
        let parts: Vec<&str> = name.split('.').collect();
        let ["blk", layer, part, _, half] = parts[..] else {
            continue;
        };
        let (_, module) = MODULES.iter().find(|(ours, _)| *ours == part).unwrap();
        let (half, mut values) = (&half[half.len() - 1..], values.clone());
        if interleaved && half == "b" && ["attn_q", "attn_k"].contains(&part) {
            let (rank, head) = (
                shape[0] as usize,
                numbers.attention().unwrap().head_dim as usize,
            );
            let rows: Vec<&[f32]> = values.chunks_exact(rank).collect();
            let from = |row: usize| {
                row / head * head + row % head % (head / 2) * 2 + row % head / (head / 2)
            };
            values = (0..rows.len())
                .flat_map(|row| rows[from(row)])
                .copied()
                .collect();
        }
        let name = format!(
            "base_model.model.model.layers.{layer}.{module}.lora_{}.weight",
            half.to_uppercase()
        );
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        all.push((name, vec![shape[1] as usize, shape[0] as usize], bytes));
    }
    hugging_face::put(
        &folder.join("adapter_model.safetensors"),
        &all,
        safetensors::Dtype::F32,
    );
    fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
    folder
}

#[test]
fn folders_of_peft_are_loras() {
    let gpu = adapters::open(&adapters::main());
    for family in ["llama", "qwen2"] {
        let (file, tensors) = base(family);
        let pairs: Vec<Tensor> = low_rank(&tensors, 1)
            .into_iter()
            .filter(|pair| pair.0.starts_with("blk."))
            .collect();
        let tokens = reference(&folder("families").join(family)).tokens;
        let model = load_file(&gpu, &file, &exact());
        let logits = |lora: &ModelFile| {
            let lora = block_on(model.load_lora(lora)).unwrap();
            let mut session = block_on(model.session()).unwrap();
            block_on(session.set_loras(&[(lora, 1.0)])).unwrap();
            prefill_all(&mut session, &tokens)
        };
        let path = saved("peft", &lora_file(family, &pairs));
        let wanted = logits(&ModelFile::open(&path).unwrap());
        fs::remove_file(path).unwrap();
        let config = json!({"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "bias": "none", "use_dora": false});
        let folder = peft_folder(&format!("peft-{family}"), &file, &pairs, &config);
        assert_eq!(
            logits(&ModelFile::open(&folder).unwrap()),
            wanted,
            "{family}"
        );
        // Alpha over the root of the rank, 4, is twice alpha over the rank.
        let mut stable = config.clone();
        stable["use_rslora"] = json!(true);
        stable["lora_alpha"] = json!(ALPHA / 2.0);
        let folder = peft_folder(&format!("peft-{family}"), &file, &pairs, &stable);
        assert_eq!(
            logits(&ModelFile::open(&folder).unwrap()),
            wanted,
            "{family}"
        );
        for (key, value) in [
            ("use_dora", json!(true)),
            ("alpha_pattern", json!({"q_proj": 1})),
            ("bias", json!("all")),
        ] {
            let mut other = config.clone();
            other[key] = value;
            let folder = peft_folder(&format!("peft-{family}"), &file, &pairs, &other);
            let error = ModelFile::open(&folder).unwrap_err().to_string();
            assert!(
                error.contains("adapter_config.json: ") && error.contains(key),
                "{error}"
            );
        }
    }
}

#[test]
fn loras_that_do_not_fit_are_refused() {
    let (file, tensors) = base("llama");
    let gpu = adapters::open(&adapters::main());
    let model = load_file(&gpu, &file, &exact());
    let refused = |what: &str, bytes: &[u8], says: &str| {
        let path = saved(what, bytes);
        let error = block_on(model.load_lora(&ModelFile::open(&path).unwrap())).err();
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
        lora_file("llama", &tensors)
    };
    refused("family", &lora_file("qwen2", &sound), "qwen2");
    refused(
        "model",
        &written(metadata_of(&file), &tensors, None),
        "no LoRA adapter",
    );
    refused("empty", &lora_file("llama", &[]), "no tensors");
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
        &lora_file("llama", &embedding),
        "are not run here",
    );
}

#[test]
fn loras_of_experts_that_do_not_fit_are_refused() {
    let (file, tensors) = base("qwen3moe");
    let model = load_file(&adapters::open(&adapters::main()), &file, &exact());
    for (rank, count, says) in [(4, 3, "do not fit"), (6, 8, "multiples of 4")] {
        let name = "blk.0.ffn_up_exps.weight";
        let base = &tensors.iter().find(|tensor| tensor.0 == name).unwrap().1;
        assert_eq!(base[2], 8);
        let pair = [
            ("lora_a", [base[0], rank, count]),
            ("lora_b", [rank, base[1], count]),
        ]
        .map(|(half, shape)| {
            let values = vec![0.0; shape.iter().product::<u64>() as usize];
            (format!("{name}.{half}"), shape.to_vec(), values)
        });
        let path = saved("experts", &lora_file("qwen3moe", &pair));
        let error = block_on(model.load_lora(&ModelFile::open(&path).unwrap())).err();
        fs::remove_file(path).unwrap();
        let error = error.unwrap().to_string();
        assert!(error.contains(says), "{error}");
    }
}

/// Where there is no memory for what a LoRA computes, the session goes on as it was.
#[test]
fn a_lora_that_does_not_fit_changes_nothing() {
    let (file, tensors) = base("llama");
    let path = saved("large", &lora_file("llama", &low_rank(&tensors, 1)));
    let lora_of = ModelFile::open(&path).unwrap();
    let tokens = reference(&folder("families").join("llama")).tokens;
    let greedy = SamplerOptions::greedy();
    let open = |memory_max| {
        let options = GpuOptions::default().memory_max(memory_max);
        Arc::new(adapters::gpu(&adapters::main(), options))
    };
    let ready = |gpu: &Arc<Gpu>| {
        let model = load_file(gpu, &file, &exact());
        let lora = block_on(model.load_lora(&lora_of)).unwrap();
        let mut session = block_on(model.session()).unwrap();
        prefill(&mut session, &tokens);
        (session, lora)
    };
    let unlimited = open(None);
    let (mut session, lora) = ready(&unlimited);
    let taken = unlimited.counters().gpu_bytes;
    let wanted = generate(&mut session, 12, &greedy);
    block_on(session.set_loras(&[(lora, 1.0)])).unwrap();

    let limited = open(Some(taken + 1000));
    let (mut session, lora) = ready(&limited);
    let error = block_on(session.set_loras(&[(lora, 1.0)])).unwrap_err();
    assert_eq!(error.code(), "does-not-fit", "{error}");
    assert_eq!(session.tokens(), tokens);
    assert_eq!(generate(&mut session, 12, &greedy), wanted);
    fs::remove_file(path).unwrap();
}
