//! Embeddings and scores against the references, of many texts in a pass as of one alone.

use std::{collections::BTreeMap, fs, ops::ControlFlow, path::PathBuf, sync::Arc};

use lantern_engine::{
    EmbedOptions, Embedder, Embedding, Gpu, LoadOptions, ModelFile, Pooling, Precision,
    file::{Source, Value},
    ranking,
};
use pollster::block_on;
use safetensors::Dtype;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::support::{
    adapters,
    copies::{entry, metadata_of, with_metadata},
    hugging_face,
    models::{folder, load},
    nmse,
};

/// Reference files of models that make embeddings or scores.
#[rustfmt::skip] // a table
pub const EMBEDDINGS: &[&str] = &[
    "qwen3-embedding", "qwen3-rank",
    "bert", "bert-rank", "bert-rank3", "bert-wpm", "nomic-bert", "nomic-bert-moe",
    "jina-bert-v2", "jina-bert-v2-code", "jina-bert-v2-rank", "jina-bert-v3",
    "modern-bert", "modern-bert-silu", "modern-bert-rank", "neo-bert", "eurobert",
    "gemma-embedding", "gemma-embedding-dense",
];

/// Content of a reference's JSON.
#[derive(Deserialize)]
pub struct Reference {
    pub tokens: Vec<u32>,
    /// The file's own pooling.
    pub pooling: Pooling,
    /// Rows and columns of the result of each pooling.
    pub shapes: BTreeMap<String, [usize; 2]>,
}

pub fn file(name: &str) -> PathBuf {
    folder("families-2026").join(format!("{name}.gguf"))
}

pub fn reference(name: &str) -> Reference {
    let text = fs::read_to_string(file(name).with_extension("json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

pub fn floats(name: &str, pooling: &str) -> Vec<f32> {
    let bytes = fs::read(file(name).with_extension(format!("{pooling}.f32"))).unwrap();
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

pub fn pooling_of(name: &str) -> Pooling {
    let mut all = Pooling::ALL.into_iter();
    all.find(|pooling| pooling.name() == name).unwrap()
}

fn embedder(gpu: &Arc<Gpu>, name: &str, options: &LoadOptions) -> Embedder {
    load(gpu, &file(name), options).embedder()
}

fn exact() -> LoadOptions {
    LoadOptions::default().precision(Precision::Exact)
}

pub fn embed(
    embedder: &mut Embedder,
    texts: &[Vec<u32>],
    options: &EmbedOptions,
) -> Vec<Embedding> {
    let go_on = &mut |_, _| ControlFlow::Continue(());
    block_on(embedder.embed(texts, options, go_on)).unwrap()
}

pub fn raw(pooling: Pooling) -> EmbedOptions {
    EmbedOptions::default().pooling(pooling).normalize(false)
}

/// Every pooling of every file on every adapter; NMSE at most `max`.
fn check(options: &LoadOptions, max: f64) {
    for adapter in adapters::all() {
        let gpu = adapters::open(&adapter);
        for name in EMBEDDINGS {
            let reference = reference(name);
            let mut embedder = embedder(&gpu, name, options);
            for (pooling, [rows, cols]) in &reference.shapes {
                let options = raw(pooling_of(pooling));
                let found = embed(
                    &mut embedder,
                    std::slice::from_ref(&reference.tokens),
                    &options,
                );
                assert_eq!(found[0].dim, *cols);
                assert_eq!(found[0].values.len(), rows * cols);
                let error = nmse(&found[0].values, &floats(name, pooling));
                println!(
                    "{:<40} {name:<24} {pooling:<5} NMSE {error:.2e}",
                    adapter.name
                );
                assert!(error <= max, "{name} {pooling}: NMSE {error:.2e}");
            }
        }
    }
}

#[test]
fn embeddings_exact() {
    check(&exact(), 1e-9);
}

#[test]
fn embeddings_mixed() {
    check(&LoadOptions::default(), 1e-4);
}

/// A model's own pooling is the one of its file.
#[test]
fn a_file_says_how_it_pools() {
    let gpu = adapters::open(&adapters::main());
    for name in EMBEDDINGS {
        let model = load(&gpu, &file(name), &exact());
        assert_eq!(model.pooling(), reference(name).pooling, "{name}");
    }
}

/// Texts of many lengths, more than a pass has rows: whole ones, and, where rows see only those before them, one that is
/// longer than a pass.
#[test]
fn texts_of_one_pass_are_what_each_is_alone() {
    let gpu = adapters::open(&adapters::main());
    for name in EMBEDDINGS {
        let tokens = reference(name).tokens;
        let texts: Vec<Vec<u32>> = [24, 1, 7, 8, 9, 3, 16, 24, 2, 13, 5]
            .into_iter()
            .zip(0..)
            .map(|(length, first)| {
                tokens
                    .iter()
                    .cycle()
                    .skip(first)
                    .take(length)
                    .copied()
                    .collect()
            })
            .collect();
        let poolings = reference(name).shapes;
        let mut wide = embedder(&gpu, name, &exact());
        let mut narrow = embedder(&gpu, name, &exact().prefill_batch(11));
        for pooling in poolings.keys() {
            let options = raw(pooling_of(pooling));
            let together = embed(&mut wide, &texts, &options);
            let split = embed(&mut narrow, &texts, &options);
            for (text, all) in texts.iter().zip(together.iter().zip(&split)) {
                let alone = embed(&mut wide, std::slice::from_ref(text), &options);
                assert_eq!(*all.0, alone[0], "{name} {pooling} of {}", text.len());
                let error = nmse(&all.1.values, &alone[0].values);
                assert!(
                    error <= 1e-12,
                    "{name} {pooling} in parts: NMSE {error:.2e}"
                );
            }
        }
    }
}

#[test]
fn vectors_are_cut_and_then_have_a_length_of_1() {
    let gpu = adapters::open(&adapters::main());
    let name = "qwen3-embedding";
    let mut embedder = embedder(&gpu, name, &exact());
    let texts = [reference(name).tokens];
    let cut = EmbedOptions::default().dimensions(10);
    let whole = embed(&mut embedder, &texts, &raw(Pooling::Last)).remove(0);
    let cut = embed(&mut embedder, &texts, &cut).remove(0);
    let length = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>().sqrt();
    let own = length(&whole.values[..10]);
    let wanted: Vec<f32> = whole.values[..10].iter().map(|v| v / own).collect();
    assert!(nmse(&cut.values, &wanted) < 1e-12);
    assert!((length(&cut.values) - 1.0).abs() < 1e-6);
    let rows = EmbedOptions::default().pooling(Pooling::None);
    for row in embed(&mut embedder, &texts, &rows)[0].rows() {
        assert!((length(row) - 1.0).abs() < 1e-6);
    }
}

#[test]
fn what_cannot_be_embedded_is_refused_by_name() {
    let gpu = adapters::open(&adapters::main());
    let mut small = embedder(&gpu, "qwen3-embedding", &exact().context(8));
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let options = EmbedOptions::default();
    for (texts, options, why) in [
        (vec![vec![1], vec![1; 9]], options, "text 2 has 9 tokens"),
        (vec![vec![]], options, "text 1 has no tokens"),
        (vec![vec![1 << 20]], options, "no token 1048576"),
        (vec![vec![1]], options.dimensions(65), "65 dimensions"),
        (
            vec![vec![1]],
            options.pooling(Pooling::Rank),
            "no classifier",
        ),
    ] {
        let error = block_on(small.embed(&texts, &options, go_on)).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    assert!(
        block_on(small.embed(&[], &options, go_on))
            .unwrap()
            .is_empty()
    );
    let stop = &mut |_, _| ControlFlow::Break(());
    let texts = vec![vec![1; 8]; 40];
    let stopped = block_on(small.embed(&texts, &options, stop)).unwrap_err();
    assert_eq!(stopped.code(), "aborted");
    let mut small = embed(&mut small, &[vec![1; 8]], &options);
    assert_eq!(small.remove(0).tokens, 8);
}

#[test]
fn the_best_come_first() {
    let scores = [[0.1, 0.9], [0.7, 0.3], [0.7, 0.1]].map(|row| row.to_vec());
    assert_eq!(ranking(&scores), [1, 2, 0]);
}

/// A folder of sentence-transformers says how it pools, in new files and old ones; what follows a model and is not run here
/// is refused by name.
#[test]
fn folders_say_how_they_pool() {
    let file = ModelFile::open(&folder("families").join("qwen3.gguf")).unwrap();
    let folder = hugging_face::folder("pooling");
    hugging_face::export(&file, &folder, Dtype::F32, 1);
    let modules = |kind: &str| {
        json!([
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Other", "type": format!("sentence_transformers.models.{kind}")},
        ])
    };
    let opened = |kind: &str, pooling: &Json| {
        fs::write(folder.join("modules.json"), modules(kind).to_string()).unwrap();
        fs::create_dir_all(folder.join("1_Pooling")).unwrap();
        fs::write(folder.join("1_Pooling/config.json"), pooling.to_string()).unwrap();
        let file = ModelFile::open(&folder)?;
        file.config().map(|config| config.usual_pooling())
    };
    let flags = |key: &str| json!({"word_embedding_dimension": 64, key: true, "pooling_mode_cls_token": key == "pooling_mode_cls_token"});
    for (pooling, expected) in [
        (flags("pooling_mode_cls_token"), Pooling::Cls),
        (flags("pooling_mode_mean_tokens"), Pooling::Mean),
        (flags("pooling_mode_lasttoken"), Pooling::Last),
        (json!({"pooling_mode": "lasttoken"}), Pooling::Last),
    ] {
        assert_eq!(opened("Normalize", &pooling).unwrap(), expected);
    }
    for (kind, pooling, why) in [
        (
            "Normalize",
            flags("pooling_mode_max_tokens"),
            "pooling_mode_max_tokens",
        ),
        ("Normalize", json!({"pooling_mode": "max"}), "max"),
        (
            "Normalize",
            json!({"pooling_mode_cls_token": false}),
            "0 poolings",
        ),
        (
            "WordWeights",
            flags("pooling_mode_cls_token"),
            "WordWeights",
        ),
        (
            "Dense",
            flags("pooling_mode_cls_token"),
            "2_Other/config.json is missing",
        ),
    ] {
        let error = opened(kind, &pooling).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

/// A query and a text lie in the file's template as text, whatever they look like; without a template as the tokenizer
/// puts two texts together.
#[test]
fn queries_and_texts_become_one_prompt() {
    let name = file("bert-wpm");
    let model = ModelFile::open(&name).unwrap();
    let tokenizer = model.tokenizer().unwrap();
    let (first, second) = ("the fox", "the dog [SEP]");
    let pair = model.rank_prompt().unwrap();
    let tokens = pair.encode(&tokenizer, first, second).unwrap();
    assert_eq!(tokens, tokenizer.encode_pair(first, second).unwrap());
    let mut metadata = metadata_of(&model);
    let template = Value::Text("[CLS]{query}[SEP]{document}[SEP]".to_owned());
    metadata.push(entry("tokenizer.chat_template.rerank", &template));
    let model = Source::from_bytes(with_metadata(&model, metadata));
    let pair = ModelFile::from_source(model)
        .unwrap()
        .rank_prompt()
        .unwrap();
    let inner = |text: &str| tokenizer.encode(text, false).unwrap();
    let expected = [vec![2], inner(first), vec![3], inner(second), vec![3]].concat();
    assert_eq!(pair.encode(&tokenizer, first, second).unwrap(), expected);
}
