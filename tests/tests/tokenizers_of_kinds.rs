//! Tokenizers of GGUF files that join nothing: WordPiece, Unigram and RWKV's, on small vocabularies of our own, against the programs that
//! they come from (`reference/tokenizers`), and WordPiece against llama.cpp. What of Gemma 4's is not in llama.cpp's own cases.

use std::{
    fs,
    time::{Duration, Instant},
};

use lantern_engine::{
    Error, ModelFile, Tokenizer,
    file::{Metadata, Value},
    text::TextStream,
};
use proptest::prelude::*;
use serde::Deserialize;

use crate::support::models::folder;

/// A vocabulary, and what its own program makes of texts with some settings.
#[derive(Deserialize)]
struct Reference {
    tokens: Vec<String>,
    types: Vec<i64>,
    #[serde(default)]
    scores: Vec<f64>,
    #[serde(default)]
    charsmap: Vec<i64>,
    texts: Vec<String>,
    #[serde(default)]
    variants: Vec<Variant>,
    #[serde(default)]
    ids: Vec<Vec<u32>>,
}

#[derive(Deserialize)]
struct Variant {
    ids: Vec<Vec<u32>>,
    #[serde(default)]
    pairs: Vec<Vec<u32>>,
    add_space_prefix: Option<bool>,
    remove_extra_whitespaces: Option<bool>,
    bytes: Option<bool>,
    lowercase: Option<bool>,
    strip_accents: Option<bool>,
}

fn reference(name: &str) -> Reference {
    let path = folder("tokenizers").join(format!("{name}.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Metadata of a tokenizer of the kind `model`.
fn metadata(model: &str, tokens: &[String], types: &[i64]) -> Metadata {
    let mut metadata = Metadata::default();
    set(&mut metadata, "model", text(model));
    set(&mut metadata, "tokens", Value::Texts(tokens.to_vec()));
    set(&mut metadata, "token_type", Value::Integers(types.to_vec()));
    metadata
}

fn set(metadata: &mut Metadata, key: &str, value: Value) {
    metadata.0.insert(format!("tokenizer.ggml.{key}"), value);
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn unigram(reference: &Reference, variant: &Variant) -> Tokenizer {
    let bytes = variant.bytes.unwrap();
    let kind = |(text, kind): (&String, &i64)| match text.strip_prefix("<0x") {
        Some(_) if bytes => 6,
        Some(_) => 5,
        None => *kind,
    };
    let types: Vec<i64> = reference
        .tokens
        .iter()
        .zip(&reference.types)
        .map(kind)
        .collect();
    let mut all = metadata("t5", &reference.tokens, &types);
    let mut set = |key, value| set(&mut all, key, value);
    let flag = |flag: Option<bool>| Value::Bool(flag.unwrap());
    set("scores", Value::Floats(reference.scores.clone()));
    set(
        "precompiled_charsmap",
        Value::Integers(reference.charsmap.clone()),
    );
    set("unknown_token_id", Value::Unsigned(0));
    set("add_space_prefix", flag(variant.add_space_prefix));
    set(
        "remove_extra_whitespaces",
        flag(variant.remove_extra_whitespaces),
    );
    set("bos_token_id", Value::Unsigned(1));
    set("eos_token_id", Value::Unsigned(2));
    set("seperator_token_id", Value::Unsigned(2));
    set("add_bos_token", Value::Bool(true));
    set("add_sep_token", Value::Bool(true));
    Tokenizer::from_metadata(&all).unwrap()
}

fn word_piece(reference: &Reference, variant: &Variant) -> Tokenizer {
    let mut all = metadata("bert", &reference.tokens, &reference.types);
    let mut set = |key, value| set(&mut all, key, value);
    set("unknown_token_id", Value::Unsigned(1));
    set("cls_token_id", Value::Unsigned(2));
    set("seperator_token_id", Value::Unsigned(3));
    set(
        "normalizer.lowercase",
        Value::Bool(variant.lowercase.unwrap()),
    );
    if let Some(strip) = variant.strip_accents {
        set("normalizer.strip_accents", Value::Bool(strip));
    }
    Tokenizer::from_metadata(&all).unwrap()
}

fn world() -> (Reference, Tokenizer) {
    let reference = reference("world");
    let all = metadata("rwkv", &reference.tokens, &reference.types);
    let tokenizer = Tokenizer::from_metadata(&all).unwrap();
    (reference, tokenizer)
}

#[test]
fn word_pieces_are_llama_cpps() {
    let path = folder("families-2026").join("bert-wpm.gguf");
    let tokenizer = ModelFile::open(&path).unwrap().tokenizer().unwrap();
    let json = fs::read_to_string(path.with_extension("json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let cases = json["texts"].as_array().unwrap();
    assert!(cases.len() > 10);
    for case in cases {
        let (text, ids) = (case["text"].as_str().unwrap(), &case["tokens"]);
        let ids: Vec<u32> = serde_json::from_value(ids.clone()).unwrap();
        assert_eq!(tokenizer.encode(text, true).unwrap(), ids, "{text:?}");
        let inner = &ids[1..ids.len() - 1];
        assert_eq!(tokenizer.encode(text, false).unwrap(), inner, "{text:?}");
    }
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(2), Some(3)));
    assert_eq!(tokenizer.bytes(5), b" the");
    let parsed = tokenizer.encode("the [MASK]", true).unwrap();
    assert_eq!(parsed, [2, 5, 4, 3]);
}

#[test]
fn word_pieces_are_those_of_the_crate_that_bert_comes_with() {
    let reference = reference("wordpiece");
    for variant in &reference.variants {
        let tokenizer = word_piece(&reference, variant);
        for (text, ids) in reference.texts.iter().zip(&variant.ids) {
            let own = tokenizer.encode(text, false).unwrap();
            assert_eq!(own, ids[1..ids.len() - 1], "{text:?}");
        }
        let pairs = reference.texts.windows(2).zip(&variant.pairs);
        assert_eq!(pairs.len(), 8);
        for (pair, ids) in pairs {
            assert_eq!(&tokenizer.encode_pair(&pair[0], &pair[1]).unwrap(), ids);
        }
    }
}

#[test]
fn unigrams_are_sentencepieces() {
    let reference = reference("unigram");
    assert_eq!(reference.variants.len(), 5);
    for variant in &reference.variants {
        let tokenizer = unigram(&reference, variant);
        for (text, ids) in reference.texts.iter().zip(&variant.ids) {
            assert_eq!(&tokenizer.encode(text, false).unwrap(), ids, "{text:?}");
            let around = [&[1], &ids[..], &[2]].concat();
            if !text.contains("<s>") {
                assert_eq!(tokenizer.encode(text, true).unwrap(), around, "{text:?}");
            }
        }
        let pair = tokenizer.encode_pair("a", "b").unwrap();
        let (a, b) = (
            tokenizer.encode("a", false).unwrap(),
            tokenizer.encode("b", false).unwrap(),
        );
        assert_eq!(pair, [&[1], &a[..], &[2, 2], &b[..], &[2]].concat());
    }
}

#[test]
fn rwkvs_tokens_are_its_own() {
    let (reference, tokenizer) = world();
    for (text, ids) in reference.texts.iter().zip(&reference.ids) {
        assert_eq!(&tokenizer.encode(text, false).unwrap(), ids, "{text:?}");
        assert_eq!(&tokenizer.decode(ids), text);
    }
    assert_eq!(tokenizer.encode("<s>a", true).unwrap(), [0, 98]);
    proptest!(config(300), |(text in any::<String>())| {
        let tokens = tokenizer.encode(&text, false).unwrap();
        prop_assert_eq!(&tokenizer.decode(&tokens), &text);
        let mut stream = TextStream::new(&tokenizer, Vec::new());
        let mut streamed: String = tokens.iter().map(|&token| stream.push(token)).collect();
        streamed += &stream.finish();
        prop_assert_eq!(streamed, text);
    });
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}

#[test]
fn a_unigram_text_comes_back_where_all_its_letters_are_tokens() {
    let reference = reference("unigram");
    let bytes = reference.variants.iter().find(|v| v.bytes == Some(true));
    let tokenizer = unigram(&reference, bytes.unwrap());
    for text in ["a 🦙 b", "ጀ", "é ½x"] {
        let back = tokenizer.decode(&tokenizer.encode(text, false).unwrap());
        assert_eq!(back, format!(" {}", text.replace('½', "1⁄2")));
    }
}

/// Gemma 4's: letters that are no tokens stay apart, and are written as bytes where there are such tokens.
#[test]
fn gemma_4_joins_letters_and_writes_others_as_bytes() {
    let tokens = [
        "<bos>", "▁", "a", "b", "ab", "▁ab", "\n", "\n\n", "<0xC3>", "<0xA9>", "<0xF0>", "c",
    ];
    let types = [3, 1, 1, 1, 1, 1, 1, 1, 6, 6, 6, 1];
    let mut all = metadata("gemma4", &texts(&tokens), &types);
    let merges = texts(&["a b", "▁ ab", "b c", "x y", "é a"]);
    set(&mut all, "merges", Value::Texts(merges));
    let missing = Tokenizer::from_metadata(&all).unwrap_err().to_string();
    assert!(missing.contains("bos_token_id"), "{missing}");
    set(&mut all, "bos_token_id", Value::Unsigned(0));
    set(&mut all, "add_bos_token", Value::Bool(false));
    let tokenizer = Tokenizer::from_metadata(&all).unwrap();
    for (text, ids) in [
        ("ab ab", &[4, 5][..]),
        ("a\n\nb\n\n\na", &[2, 7, 3, 6, 6, 6, 2]),
        ("aéb", &[2, 8, 9, 3]),
        ("éa", &[8, 9]),
        ("a\u{10348}b", &[2, 10, 3]),
        ("xy", &[]),
        ("bc", &[]),
    ] {
        assert_eq!(tokenizer.encode(text, false).unwrap(), ids, "{text:?}");
    }
    assert_eq!(tokenizer.encode("ab", true).unwrap(), [0, 4]);
    assert_eq!(tokenizer.decode(&[5, 8, 9, 6]), " abé\n");
}

#[test]
fn words_of_chinese_jina_drop_white_space() {
    let tokens = ["<s>", "</s>", "a", "b", "ab", "中", "A"];
    let mut all = metadata("whitespace", &texts(&tokens), &[3, 3, 1, 1, 1, 1, 1]);
    set(&mut all, "merges", Value::Texts(texts(&["a b"])));
    let ids = |all: &Metadata, text| Tokenizer::from_metadata(all).unwrap().encode(text, false);
    assert_eq!(ids(&all, "ab  a\n b 中Ab").unwrap(), [4, 2, 3, 5, 6, 3]);
    set(&mut all, "normalizer.lowercase", Value::Bool(true));
    assert_eq!(ids(&all, "ab 中Ab").unwrap(), [4, 5, 4]);
}

/// As `transformers` has it for `<mask>`, which GGUF does not say.
#[test]
fn a_mask_swallows_the_space_before_it_where_the_model_wants_it() {
    let tokens = ["<s>", "</s>", "<unk>", "<mask>", "▁", "a", "▁a"];
    let mut all = metadata("t5", &texts(&tokens), &[3, 3, 2, 3, 1, 1, 1]);
    let scores = vec![0.0, 0.0, 0.0, 0.0, -1.0, -1.0, -1.0];
    set(&mut all, "scores", Value::Floats(scores));
    let ids = |all: &Metadata| {
        let tokenizer = Tokenizer::from_metadata(all).unwrap();
        tokenizer.encode_rendered("a <mask> a").unwrap()
    };
    assert_eq!(ids(&all), [5, 4, 3, 6]);
    let key = "general.architecture".to_owned();
    all.0.insert(key, text("jina-bert-v3"));
    assert_eq!(ids(&all), [5, 3, 6]);
}

/// A sound little vocabulary of the kind `model`, ready to be spoilt.
fn small(model: &str) -> Metadata {
    let tokens = texts(&["<unk>", "<s>", "</s>", "a", "▁", "▁a", "b", "c"]);
    let mut all = metadata(model, &tokens, &[2, 3, 3, 1, 1, 1, 1, 1]);
    set(&mut all, "scores", Value::Floats(vec![-1.0; 8]));
    set(&mut all, "merges", Value::Texts(Vec::new()));
    set(&mut all, "bos_token_id", Value::Unsigned(1));
    set(&mut all, "eos_token_id", Value::Unsigned(2));
    all
}

/// Fails unless a key spoils the vocabulary.
fn refuse(model: &str, key: &str, value: Value) {
    let mut all = small(model);
    let shown = format!("{model} {key} {value:?}");
    set(&mut all, key, value);
    match Tokenizer::from_metadata(&all) {
        Err(error @ Error::BadFile { .. }) => {
            assert!(error.to_string().len() < 500, "{shown}: {error}");
        }
        other => panic!("{shown}: {:?}", other.map(|_| ())),
    }
}

#[test]
fn hostile_vocabularies_of_these_kinds_are_errors() {
    for model in ["bert", "t5", "rwkv", "gemma4"] {
        let tokenizer = Tokenizer::from_metadata(&small(model)).unwrap();
        assert_eq!(tokenizer.vocab_size(), 8, "{model}");
    }
    let half = texts(&["a", "b", "\\x4", "d", "e", "f", "g", "h"]);
    for (model, key, value) in [
        ("t5", "scores", Value::Floats(vec![f64::INFINITY; 8])),
        ("t5", "scores", Value::Floats(vec![f64::NAN; 8])),
        ("t5", "scores", Value::Floats(vec![0.0; 7])),
        ("t5", "unknown_token_id", Value::Unsigned(8)),
        ("t5", "add_space_prefix", Value::Unsigned(1)),
        ("t5", "remove_extra_whitespaces", text("x")),
        ("bert", "unknown_token_id", Value::Unsigned(8)),
        ("bert", "seperator_token_id", Value::Unsigned(8)),
        ("bert", "normalizer.lowercase", text("x")),
        ("bert", "normalizer.strip_accents", text("x")),
        ("bert", "bos_token_id", Value::Signed(-1)),
        ("rwkv", "unknown_token_id", Value::Unsigned(8)),
        ("gemma4", "merges", text("x")),
        ("gemma4", "bos_token_id", Value::Signed(-1)),
    ] {
        refuse(model, key, value);
    }
    let mut all = small("rwkv");
    all.0.remove("tokenizer.ggml.token_type");
    set(&mut all, "tokens", Value::Texts(half));
    let error = Tokenizer::from_metadata(&all).unwrap_err().to_string();
    assert!(error.contains("token 2 "), "{error}");
}

#[test]
fn hostile_tables_of_letters_are_errors() {
    let map = |size: u32, units: &[u32], texts: &[u8]| {
        let units = units.iter().flat_map(|unit| unit.to_le_bytes());
        let bytes = size.to_le_bytes().into_iter().chain(units);
        Value::Integers(bytes.chain(texts.iter().copied()).map(i64::from).collect())
    };
    let block = |set: &[(usize, u32)], texts: &[u8]| {
        let mut units = vec![0; 256];
        for &(at, unit) in set {
            units[at] = unit;
        }
        map(1024, &units, texts)
    };
    // The letter a becomes the text that begins so many bytes into the texts.
    let becomes = |place: u32| [(0x61, 0x100 | 0x61 | 7 << 10), (0x66, 1 << 31 | place)];
    let mut sound = small("t5");
    let key = "precompiled_charsmap";
    set(&mut sound, key, block(&becomes(2), b"x\0b\0"));
    let tokenizer = Tokenizer::from_metadata(&sound).unwrap();
    assert_eq!(tokenizer.encode("ac", false).unwrap(), [6, 7]);
    for spoilt in [
        Value::Integers(vec![1, 2]),
        Value::Integers(vec![300; 8]),
        text("x"),
        map(u32::MAX, &[0], b"x\0"),
        map(3, &[0], b"x\0"),
        map(0, &[], b""),
        map(4, &[0], b"x\0"),
        map(4, &[0], b"\xff\0"),
        // A base beyond the table, a text beyond the texts, one within a letter, one without an end.
        block(&[(0x61, 256 << 10)], b"x\0"),
        block(&becomes(5), b"x\0b\0"),
        block(&becomes(1), "é\0".as_bytes()),
        block(&becomes(2), b"x\0b"),
    ] {
        refuse("t5", key, spoilt);
    }
}

#[test]
fn encoding_is_quick() {
    let (words, grams) = (reference("wordpiece"), reference("unigram"));
    let all = [
        ("bert", word_piece(&words, &words.variants[0])),
        ("t5", unigram(&grams, &grams.variants[0])),
        ("rwkv", world().1),
    ];
    for (name, tokenizer) in all {
        for unit in [
            "The dog, aged 33½, 我想 नमस्ते é!\n",
            "x",
            " ",
            "=",
            "🦙",
            "x ",
        ] {
            let text = unit.repeat((1 << 20) / unit.len());
            let start = Instant::now();
            let tokens = tokenizer.encode(&text, true).unwrap().len();
            let took = start.elapsed();
            println!("{name}: {took:?} for {unit:?} ({tokens})");
            assert!(took < Duration::from_secs(20), "{name} {unit:?}: {took:?}");
        }
    }
}
