//! Settings of folders by which layers are of one kind or another.

use std::fs;

use lantern_engine::{LoadOptions, ModelFile, Precision, file::Value};
use safetensors::Dtype;
use serde_json::{Value as Json, json};

use crate::support::{
    adapters,
    copies::{entry, metadata_of},
    hugging_face::folder,
    later_cases,
    lora::{base, saved, written},
    models::{self, load_file, logits, prefill_all, reference},
    nmse,
};

/// A folder says whether Llama 4 norms queries and keys; GGUF has 128 experts where it does not. Of more experts that are the
/// same, the first are used.
#[test]
fn llama4_is_normed_as_stated() {
    let (gpu, options) = (
        adapters::open(&adapters::main()),
        LoadOptions::default().precision(Precision::Exact),
    );
    let case = later_cases::CASES
        .iter()
        .find(|c| c.reference == "llama4")
        .unwrap();
    let path = models::folder("families-2026").join("llama4.gguf");
    let folder = folder("llama4-norms");
    case.export(&ModelFile::open(&path).unwrap(), &folder, Dtype::F32);
    let config = folder.join("config.json");
    let mut whole: Json = serde_json::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
    whole["text_config"]["use_qk_norm"] = json!(false);
    fs::write(&config, whole.to_string()).unwrap();
    let (file, mut tensors) = base("llama4");
    let times = 32;
    for (name, shape, values) in &mut tensors {
        let place = if name.contains("_exps.") { 2 } else { 1 };
        if place == 2 || name.contains("ffn_gate_inp") {
            shape[place] *= times;
            *values = values.repeat(times as usize);
        }
    }
    let mut metadata = metadata_of(&file);
    metadata.retain(|(key, _)| key != b"llama4.expert_count");
    metadata.push(entry("llama4.expert_count", &Value::Unsigned(4 * times)));
    let many = saved("llama4-experts", &written(metadata, &tensors, None));
    let tokens = reference(&path).tokens;
    let logits_of = |file: &ModelFile| {
        let model = load_file(&gpu, file, &options);
        prefill_all(&mut pollster::block_on(model.session()).unwrap(), &tokens)
    };
    let [stated, counted] = [folder.to_path_buf(), many].map(|path| {
        let file = ModelFile::open(&path).unwrap();
        logits_of(&file)
    });
    assert!(nmse(&stated, &counted) < 1e-9);
    assert!(nmse(&stated, &logits(&path)) > 1e-4);
}

/// Layers and sizes of Kimi Linear's delta nets that make no sense, or are not run.
#[test]
fn delta_nets_of_kimi_linear_are_checked() {
    let mut cases = later_cases::CASES.iter();
    let case = cases.find(|case| case.reference == "kimi-linear").unwrap();
    let path = models::folder("families-2026").join("kimi-linear.gguf");
    let folder = folder("kimi-linear-wrong");
    case.export(&ModelFile::open(&path).unwrap(), &folder, Dtype::F32);
    let config = folder.join("config.json");
    let whole: Json = serde_json::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
    let numbers = "where a list of layers' numbers, from 1 on, is needed";
    for (key, value, wanted) in [
        ("kda_layers", json!([0, 1]), numbers),
        ("kda_layers", json!([5]), numbers),
        ("full_attn_layers", json!(["x"]), numbers),
        ("full_attn_layers", json!(3), "where a list is needed"),
        ("kda_layers", json!([1, 2]), "a list of all layers"),
        ("num_heads", json!(8), "as many as num_attention_heads"),
        ("head_dim", json!(6), "only multiples of 4 up to 1024"),
        ("kda_layers", json!([1, 2, 3, 4]), "blk.2"),
    ] {
        let mut changed = whole.clone();
        changed["linear_attn_config"][key] = value.clone();
        fs::write(&config, changed.to_string()).unwrap();
        let read = ModelFile::open(&folder).and_then(|file| file.check_tensors());
        let error = read.err().map(|error| error.to_string());
        let error = error.unwrap_or_else(|| format!("{key} of {value} was read"));
        assert!(error.contains(wanted), "{key}: {error}");
    }
}
