//! `lantern serve` with models of texts: embeddings and scores are those of `lantern embed` and `lantern rerank`, and what
//! a model does not do is refused.

#[path = "../../tests/tests/support/copies.rs"]
mod copies;
#[path = "../../tests/tests/support/default_model.rs"]
mod default_model;
#[path = "../../tests/tests/support/gguf.rs"]
mod gguf;
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use copies::{entry, metadata_of, with_metadata};
use lantern_engine::{ModelFile, file::Value as Setting};
use serde_json::{Value, json};
use support::{folder, on_quicker, run, server::Server};

fn reference(name: &str) -> PathBuf {
    Path::new("../tests/reference/families-2026").join(format!("{name}.gguf"))
}

/// A model that scores texts, with the tokenizer of another.
fn reranker(folder: &Path) -> PathBuf {
    const VOCAB_SIZE: usize = 128;
    let weights = ModelFile::open(&reference("bert-rank")).unwrap();
    let words = ModelFile::open(&reference("bert-wpm")).unwrap();
    let mut metadata = metadata_of(&weights);
    for (key, value) in &words.metadata().0 {
        let value = match value {
            _ if !key.starts_with("tokenizer.") => continue,
            Setting::Texts(all) if key.ends_with(".tokens") => {
                let more = (all.len()..VOCAB_SIZE).map(|number| format!("[unused{number}]"));
                Setting::Texts(all.iter().cloned().chain(more).collect())
            }
            Setting::Integers(all) if key.ends_with(".token_type") => {
                let more = vec![1; VOCAB_SIZE - all.len()];
                Setting::Integers(all.iter().copied().chain(more).collect())
            }
            value => value.clone(),
        };
        metadata.push(entry(key, &value));
    }
    let path = folder.join("reranker.gguf");
    fs::write(&path, with_metadata(&weights, metadata)).unwrap();
    path
}

/// JSON that a verb prints.
fn printed(verb: &str, arguments: &[&str]) -> Value {
    let mut command = on_quicker(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let (code, out, told) = run(command.arg(verb).args(arguments).arg("--json"));
    assert_eq!(code, 0, "{told}");
    serde_json::from_str(&out).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let all = value.as_array().unwrap().iter();
    all.map(|one| one.as_f64().unwrap()).collect()
}

fn near(one: &[f64], other: &[f64]) -> bool {
    let mut pairs = one.iter().zip(other);
    one.len() == other.len() && pairs.all(|(a, b)| (a - b).abs() < 1e-5)
}

#[test]
fn gpu_embeddings_are_those_of_embed() {
    let model = reference("bert-wpm");
    let server = Server::start(&model, &["--context", "64"]);
    let texts = ["the fox", "the dog"];
    let shown = printed("embed", &[model.to_str().unwrap(), texts[0], texts[1]]);
    let shown = |index: usize| numbers(&shown["data"][index]["embedding"]);
    let (status, answer) = server.post("/v1/embeddings", &json!({"input": texts, "model": "x"}));
    assert_eq!(status, 200, "{answer}");
    for index in 0..2 {
        let row = &answer["data"][index];
        assert_eq!(row["index"], index);
        assert!(near(&numbers(&row["embedding"]), &shown(index)));
    }
    let tokens = &answer["usage"]["total_tokens"];
    assert!(tokens.as_f64() == Some(server.metric("lantern_text_tokens_total")));

    let (_, ids) = server.post(
        "/tokenize",
        &json!({"content": texts[1], "add_special": true}),
    );
    let body = json!({"input": ids["tokens"], "encoding_format": "base64", "dimensions": 8});
    let (_, answer) = server.post("/v1/embeddings", &body);
    let bytes = STANDARD.decode(answer["data"][0]["embedding"].as_str().unwrap());
    let bytes = bytes.unwrap();
    let (values, _) = bytes.as_chunks::<4>();
    let values: Vec<f64> = values
        .iter()
        .map(|&four| f32::from_le_bytes(four).into())
        .collect();
    let first: Vec<f64> = shown(1)[..8].to_vec();
    let length = first.iter().map(|v| v * v).sum::<f64>().sqrt();
    let first: Vec<f64> = first.iter().map(|v| v / length).collect();
    assert!(near(&values, &first), "{values:?} {first:?}");

    for (body, words) in [
        (json!({"input": []}), "no tokens"),
        (json!({"input": "fox", "dimensions": 65}), "65 dimensions"),
        (json!({"input": "fox", "encoding_format": "int8"}), "int8"),
        (json!({"input": "fox ".repeat(99)}), "context"),
        (json!({"input": "fox", "colour": 1}), "colour"),
    ] {
        let (status, refused) = server.post("/v1/embeddings", &body);
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(
            status == 400 && message.contains(words),
            "{status} {message}"
        );
    }
    let hello = json!({"messages": [{"role": "user", "content": "Hello"}]});
    let (status, refused) = server.post("/v1/chat/completions", &hello);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(
        status == 400 && message.contains("is an encoder"),
        "{message}"
    );
    let (status, refused) = server.post("/v1/rerank", &json!({"query": "a", "documents": ["b"]}));
    assert_eq!(status, 400, "{refused}");
}

#[test]
fn gpu_scores_are_those_of_rerank() {
    let model = reranker(&folder("serve-rerank"));
    let server = Server::start(&model, &["--context", "64"]);
    let texts = ["the dog", "the fox", "a fox and a dog"];
    let model = model.to_str().unwrap();
    let shown = printed("rerank", &[&[model, "-q", "the fox"], &texts[..]].concat());
    let documents = json!([texts[0], {"text": texts[1]}, texts[2]]);
    let mut body = json!({"query": "the fox", "documents": documents, "return_documents": true});
    let (status, answer) = server.post("/v1/rerank", &body);
    assert_eq!(status, 200, "{answer}");
    for place in 0..3 {
        let (result, shown) = (&answer["results"][place], &shown["data"][place]);
        assert_eq!(result["index"], shown["index"], "{answer} {shown}");
        let score = result["relevance_score"].as_f64().unwrap();
        assert!((score - shown["scores"][0].as_f64().unwrap()).abs() < 1e-5);
        let index = result["index"].as_u64().unwrap() as usize;
        assert_eq!(result["document"]["text"], texts[index]);
    }
    body["top_n"] = 1.into();
    let (_, best) = server.post("/v1/rerank", &body);
    assert_eq!(best["results"], json!([answer["results"][0]]));
    for (body, words) in [
        (json!({"query": "a"}), "documents is missing"),
        (json!({"query": "a", "documents": []}), "1 to 2048"),
        (
            json!({"query": "a", "documents": [{"title": "b"}]}),
            "`text`",
        ),
    ] {
        let (status, refused) = server.post("/v1/rerank", &body);
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(
            status == 400 && message.contains(words),
            "{status} {message}"
        );
    }
    let (status, refused) = server.post("/v1/embeddings", &json!({"input": "a"}));
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(status == 400 && message.contains("/v1/rerank"), "{message}");
}

/// A model that chats has embeddings, too: those of `embed`.
#[test]
fn gpu_a_chat_model_embeds() {
    let Some(model) = default_model::default_model() else {
        return;
    };
    let server = Server::start(&model, &["--context", "512"]);
    let shown = printed(
        "embed",
        &[
            model.to_str().unwrap(),
            "--context",
            "512",
            "The sky is blue.",
        ],
    );
    let (status, answer) = server.post("/v1/embeddings", &json!({"input": "The sky is blue."}));
    assert_eq!(status, 200, "{answer}");
    let values = numbers(&answer["data"][0]["embedding"]);
    assert!(near(&values, &numbers(&shown["data"][0]["embedding"])));
}

/// Models of a folder come when they are named, one makes room for another, and go when nobody uses them.
#[test]
fn gpu_models_of_a_folder_come_and_go() {
    let Some(model) = default_model::default_model() else {
        return;
    };
    let models = folder("serve-models");
    fs::copy(reference("bert-wpm"), models.join("words.gguf")).unwrap();
    if fs::hard_link(&model, models.join("smol.gguf")).is_err() {
        fs::copy(&model, models.join("smol.gguf")).unwrap(); // another disk
    }
    fs::write(models.join("notes.txt"), "no model").unwrap();
    let models = models.to_str().unwrap();
    let flags = ["--models-max", "1", "--keep-alive", "2s", "--context", "64"];
    let server = Server::start_with(&[&["--models", models], &flags[..]].concat());
    let loaded = || {
        let listed: Value = serde_json::from_str(&server.get("/v1/models").1).unwrap();
        let all = listed["data"].as_array().unwrap().iter();
        let all = all.map(|one| (one["id"].clone(), one["loaded"].as_bool().unwrap()));
        all.collect::<Vec<_>>()
    };
    assert_eq!(loaded(), [(json!("smol"), false), (json!("words"), false)]);
    let embed = json!({"model": "words", "input": "the fox"});
    assert_eq!(server.post("/v1/embeddings", &embed).0, 200);
    assert_eq!(loaded(), [(json!("smol"), false), (json!("words"), true)]);
    let hello = [json!({"role": "user", "content": "Hello"})];
    let mut chat = json!({"model": "smol", "messages": hello, "max_tokens": 2});
    let (status, answer) = server.post("/v1/chat/completions", &chat);
    assert_eq!(
        (status, &answer["model"]),
        (200, &json!("smol")),
        "{answer}"
    );
    assert_eq!(loaded(), [(json!("smol"), true), (json!("words"), false)]);
    for (name, status) in [("gone", 404), ("notes", 404), ("../smol", 404)] {
        chat["model"] = name.into();
        let (told, refused) = server.post("/v1/chat/completions", &chat);
        assert_eq!(
            (told, &refused["error"]["code"]),
            (status, &json!("model_not_found"))
        );
    }
    assert_eq!(server.get("/v1/models/words").0, 200);
    assert_eq!(server.get("/v1/models/gone").0, 404);
    std::thread::sleep(std::time::Duration::from_millis(3500));
    assert_eq!(loaded(), [(json!("smol"), false), (json!("words"), false)]);
}
