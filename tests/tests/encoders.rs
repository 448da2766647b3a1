//! Encoders: they make no text, and their rows attend to all of it.

use std::{fs, ops::ControlFlow, path::Path};

use lantern_engine::{Embedder, LoadOptions, Model, ModelFile, Pooling, Precision};
use pollster::block_on;
use serde_json::{Value as Json, json};

use crate::{
    embeddings::{embed, file, floats, pooling_of, raw, reference},
    references::ENCODERS,
    support::{
        adapters,
        encoder_folders::{ANSWERS, CASES, Case},
        hugging_face,
        models::{folder, load, load_file},
        nmse,
    },
};

#[test]
fn they_make_no_text() {
    let gpu = adapters::open(&adapters::main());
    let path = folder("families-2026").join("bert.gguf");
    let model = load(&gpu, &path, &LoadOptions::default());
    assert_eq!(model.prefill_batch(), model.context());
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let mut session = block_on(model.session()).unwrap();
    let error = block_on(session.prefill(&[1, 2], go_on)).unwrap_err();
    assert_eq!(error.code(), "unsupported");
    assert!(error.to_string().contains("lantern embed"), "{error}");
    let error = block_on(model.sequences(2)).err().unwrap();
    assert!(error.to_string().contains("lantern embed"), "{error}");
}

#[test]
fn their_files_say_that_rows_attend_to_all() {
    for name in ENCODERS {
        let path = folder("families-2026").join(format!("{name}.gguf"));
        let config = ModelFile::open(&path).unwrap().config().unwrap();
        assert!(!config.causal, "{name}");
    }
}

/// Written as folders of `transformers` and sentence-transformers, references give the same vectors and scores from there.
#[test]
fn encoders_from_safetensors() {
    let gpu = adapters::open(&adapters::main());
    let options = LoadOptions::default().precision(Precision::Exact);
    let mut failures = Vec::new();
    for case in CASES {
        let name = case.reference;
        let reference = reference(name);
        let by_name = (name, case.architecture) == ("qwen3-rank", "Qwen3ForCausalLM");
        let title = if by_name { "Qwen3-Reranker-1B" } else { name };
        let folder = hugging_face::folder(&format!("encoder-{title}"));
        case.export(&ModelFile::open(&file(name)).unwrap(), &folder);
        if by_name {
            fs::write(folder.join("tokenizer.json"), answers(&ANSWERS)).unwrap();
        }
        let opened = ModelFile::open(&folder).unwrap_or_else(|e| panic!("{name}: {e}"));
        let model = load_file(&gpu, &opened, &options);
        assert_eq!(model.pooling(), reference.pooling, "{name}");
        let mut embedder = model.embedder();
        for pooling in reference.shapes.keys() {
            let texts = std::slice::from_ref(&reference.tokens);
            let mut found = embed(&mut embedder, texts, &raw(pooling_of(pooling))).remove(0);
            if name == "qwen3-rank" && !by_name {
                // llama.cpp scores by yes and no; `transformers` has logits.
                let all: Vec<f32> = found.values.iter().map(|v| v.exp()).collect();
                found.values = all.iter().map(|v| v / all.iter().sum::<f32>()).collect();
            }
            let error = nmse(&found.values, &floats(name, pooling));
            println!(
                "{:<40} {name:<24} {pooling:<5} NMSE {error:.2e}",
                case.architecture
            );
            if error > 1e-9 {
                failures.push(format!(
                    "{} {name} {pooling}: NMSE {error:.2e}",
                    case.architecture
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A tokenizer of these words.
fn answers(words: &[(&str, usize)]) -> String {
    let vocab: serde_json::Map<String, Json> = words
        .iter()
        .map(|&(word, id)| (word.to_owned(), json!(id)))
        .collect();
    json!({"model": {"type": "WordLevel", "vocab": vocab, "unk_token": words[0].0}}).to_string()
}

/// A reranker is known by the heading of its README, too; one without answers is refused, and other models are none.
#[test]
fn rerankers_are_known_by_name() {
    let is =
        |case: &&Case| (case.reference, case.architecture) == ("qwen3-rank", "Qwen3ForCausalLM");
    let case = CASES.iter().find(is).unwrap();
    let folder = hugging_face::folder("encoder-by-readme");
    case.export(&ModelFile::open(&file("qwen3-rank")).unwrap(), &folder);
    let readme = folder.join("README.md");
    let template = || {
        let file = ModelFile::open(&folder)?;
        let template = file.metadata().text("tokenizer.chat_template.rerank")?;
        Ok::<_, lantern_engine::Error>(template.map(str::to_owned))
    };
    fs::write(folder.join("tokenizer.json"), answers(&ANSWERS)).unwrap();
    assert_eq!(template().unwrap(), None);
    fs::write(&readme, "# Qwen3-8B\nbeside Qwen3-Reranker-8B").unwrap();
    assert_eq!(template().unwrap(), None);
    fs::write(&readme, "---\nlicense: x\n---\n# Qwen3-Reranker-8B\n").unwrap();
    let found = template().unwrap().unwrap();
    assert!(found.contains("<Query>: {query}\n<Document>: {document}<|im_end|>"));
    for words in [&ANSWERS[..1], &[("yes", 9), ("no", 128)]] {
        fs::write(folder.join("tokenizer.json"), answers(words)).unwrap();
        let error = template().unwrap_err().to_string();
        assert!(error.contains("has no token \"no\" to score by"), "{error}");
    }
}

/// A case's folder, with some keys of a file of JSON changed, or without those that are null.
fn changed(
    reference: &str,
    architecture: &str,
    (path, keys): (&str, &Json),
) -> hugging_face::Folder {
    let is = |case: &&Case| (case.reference, case.architecture) == (reference, architecture);
    let case = CASES.iter().find(is).unwrap();
    let folder = hugging_face::folder("encoder-changed");
    case.export(&ModelFile::open(&file(reference)).unwrap(), &folder);
    let path = folder.join(path);
    let mut all: Json = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for (key, value) in keys.as_object().unwrap() {
        all[key] = value.clone();
        if value.is_null() {
            all.as_object_mut().unwrap().remove(key);
        }
    }
    fs::write(path, all.to_string()).unwrap();
    folder
}

/// Keys of `config.json`, or of a module, that something else than what is run would follow from.
#[rustfmt::skip] // a table
fn refusals() -> Vec<(&'static str, &'static str, &'static str, Json, &'static str)> {
    let (modern, config) = ("ModernBertModel", "config.json");
    vec![
        ("modern-bert", modern, config, json!({"norm_bias": true}), "norm_bias is true; only false is run here"),
        ("modern-bert", modern, config, json!({"hidden_activation": "relu"}), "hidden_activation is \"relu\"; known are gelu"),
        ("modern-bert", modern, config, json!({"rope_scaling": {"rope_type": "linear"}}), "rope_scaling is an object of 1; only null is run here"),
        ("modern-bert", modern, config, json!({"local_attention": 0}), "sliding_window is 0, where a number above 0"),
        ("modern-bert", modern, config, json!({"attention_bias": true}), "attention_bias is true, but there is no tensor blk.0.attn_output.bias"),
        ("modern-bert-silu", modern, config, json!({"rope_parameters": {"full_attention": {}, "sliding_attention": {"rope_type": "yarn"}}}),
            "rope_type is \"yarn\"; only default is run here in layers with a window"),
        ("modern-bert-rank", "ModernBertForSequenceClassification", config, json!({"classifier_pooling": "max"}),
            "classifier_pooling is \"max\"; only cls and mean are run here"),
        ("modern-bert-rank", "ModernBertForSequenceClassification", config, json!({"classifier_activation": "relu"}),
            "classifier_activation is \"relu\"; known are gelu"),
        ("nomic-bert", "NomicBertModel", config, json!({"moe_every_n_layers": 2}), "moe_every_n_layers is 2; only 0 is run here"),
        ("nomic-bert", "NomicBertModel", config, json!({"rotary_emb_interleaved": true}), "rotary_emb_interleaved is true; only false"),
        ("bert", "XLMRobertaModel", config, json!({"pad_token_id": 65}), "position_embd.weight (GGUF's name of it) has the shape [64, 66], and no row"),
        ("gemma-embedding", "Gemma3TextModel", config, json!({"use_bidirectional_attention": null}),
            "use_bidirectional_attention is missing; only true is run here"),
        ("gemma-embedding-dense", "Gemma3TextModel", "2_Dense/config.json", json!({"bias": true}), "bias is true; only false is run here"),
        ("gemma-embedding-dense", "Gemma3TextModel", "2_Dense/config.json", json!({"activation_function": null}),
            "activation_function is missing, where a text is needed"),
        ("gemma-embedding-dense", "Gemma3TextModel", "2_Dense/config.json", json!({"activation_function": "torch.nn.modules.activation.Tanh"}),
            "only torch.nn.modules.linear.Identity is run here"),
        ("gemma-embedding-dense", "Gemma3TextModel", "3_Dense/config.json", json!({"in_features": 64}), "in_features and out_features are not"),
        ("bert", "BertModel", config, json!({"architectures": ["MPNetModel"]}), "models of the architecture \"MPNetModel\" are not run"),
    ]
}

#[test]
fn what_is_not_run_is_refused_by_name() {
    let gpu = adapters::open(&adapters::main());
    let mut wrong = Vec::new();
    for (reference, architecture, path, keys, piece) in refusals() {
        let folder = changed(reference, architecture, (path, &keys));
        let go_on = &mut |_, _| ControlFlow::Continue(());
        let options = LoadOptions::default();
        let load = |file| block_on(Model::load(&gpu, &file, &options, go_on));
        let error = ModelFile::open(&folder).and_then(load).err();
        let error = error.map_or_else(|| "it was read".to_owned(), |e| e.to_string());
        if !error.contains(piece) {
            wrong.push(format!("{error:?} instead of {piece:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// BERT's classifiers know two texts by the types of their tokens; RoBERTa's by what lies between them.
#[test]
fn pairs_that_differ_by_type_are_refused() {
    let wpm = ModelFile::open(&file("bert-wpm")).unwrap();
    let tokenizer = wpm.tokenizer().unwrap();
    for (architecture, refused) in [
        ("BertForSequenceClassification", true),
        ("XLMRobertaForSequenceClassification", false),
    ] {
        let folder = changed("bert-rank", architecture, ("config.json", &json!({})));
        let prompt = ModelFile::open(&folder).unwrap().rank_prompt().unwrap();
        let tokens = prompt.encode(&tokenizer, "the fox", "the dog");
        assert_eq!(tokens.is_err(), refused, "{architecture}");
        if let Err(error) = tokens {
            assert!(error.to_string().contains("type_vocab_size"), "{error}");
        }
    }
}

fn embedder(folder: &Path) -> Embedder {
    let options = LoadOptions::default().precision(Precision::Exact);
    let file = ModelFile::open(folder).unwrap();
    load_file(&adapters::open(&adapters::main()), &file, &options).embedder()
}

/// GELU by the error function gives other numbers than llama.cpp's tanh, but near ones.
#[test]
fn gelu_of_folders_is_by_the_error_function() {
    for (name, architecture, keys) in [
        ("bert", "BertModel", json!({"hidden_act": "gelu"})),
        (
            "modern-bert",
            "ModernBertModel",
            json!({"hidden_activation": null}),
        ),
        (
            "jina-bert-v3",
            "JinaEmbeddingsV3Model",
            json!({"hidden_act": null}),
        ),
        (
            "modern-bert-rank",
            "ModernBertForSequenceClassification",
            json!({"classifier_activation": null}),
        ),
    ] {
        let folder = changed(name, architecture, ("config.json", &keys));
        let reference = reference(name);
        let (pooling, _) = reference.shapes.iter().next().unwrap();
        let texts = std::slice::from_ref(&reference.tokens);
        let found = embed(&mut embedder(&folder), texts, &raw(pooling_of(pooling)));
        let error = nmse(&found[0].values, &floats(name, pooling));
        assert!(error > 1e-10 && error < 1e-5, "{name}: NMSE {error:.2e}");
    }
}

/// ModernBERT's classifier reads the first row where its configuration says so, or nothing.
#[test]
fn classifiers_read_the_row_that_is_stated() {
    let name = "modern-bert-rank";
    let model = ModelFile::open(&file(name)).unwrap();
    let tanh = "gelu_pytorch_tanh";
    let keys = json!({"classifier_pooling": null, "classifier_activation": tanh});
    let folder = changed(
        name,
        "ModernBertForSequenceClassification",
        ("config.json", &keys),
    );
    let mut embedder = embedder(&folder);
    let texts = [reference(name).tokens];
    let mut of = |pooling| embed(&mut embedder, &texts, &raw(pooling)).remove(0).values;
    let (row, scores) = (of(Pooling::Cls), of(Pooling::Rank));
    let values = |part: &str| hugging_face::values(&model, model.tensor(part).unwrap());
    let times = |matrix: &str, row: &[f32]| -> Vec<f32> {
        let dot = |weights: &[f32]| weights.iter().zip(row).map(|(a, b)| a * b).sum();
        values(matrix).chunks(row.len()).map(dot).collect()
    };
    let gelu = |v: f32| 0.5 * v * (1.0 + (0.797_884_6 * (v + 0.044_715 * v.powi(3))).tanh());
    let dense: Vec<f32> = times("cls.weight", &row).into_iter().map(gelu).collect();
    let mean = dense.iter().sum::<f32>() / 64.0;
    let variance = dense.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 64.0;
    let normed = dense.iter().zip(values("cls.norm.weight"));
    let normed: Vec<f32> = normed
        .map(|(v, w)| (v - mean) / (variance + 1e-5).sqrt() * w)
        .collect();
    let wanted = times("cls.output.weight", &normed)
        .into_iter()
        .zip(values("cls.output.bias"));
    let wanted: Vec<f32> = wanted.map(|(v, bias)| v + bias).collect();
    let error = nmse(&scores, &wanted);
    assert!(error < 1e-9, "NMSE {error:.2e}");
}

/// A model whose head is none of its own, and not in its files, makes no text.
#[test]
fn models_without_their_head_make_no_text() {
    for (keys, refused) in [
        (json!({}), true),
        (json!({"tie_word_embeddings": true}), false),
    ] {
        let folder = changed(
            "qwen3-embedding",
            "Qwen3ForCausalLM",
            ("config.json", &keys),
        );
        let options = ModelFile::open(&folder).unwrap().completion_options();
        assert_eq!(options.is_err(), refused);
        if let Err(error) = options {
            assert!(error.to_string().contains("lantern embed"), "{error}");
        }
    }
}
