//! Tokenizers built from other people's vocabularies cut llama.cpp's own test texts as llama.cpp does, and hostile vocabularies are errors.

use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use lantern_engine::{
    Error, ModelFile, Tokenizer,
    file::{Metadata, Value},
};
use proptest::prelude::*;

const NAMES: [&str; 5] = ["gemma-4", "gpt-2", "llama-bpe", "llama-spm", "qwen2"];

/// The metadata of a reference vocabulary.
fn metadata(name: &str) -> Option<Metadata> {
    let path = crate::support::shared::reference("tokenizers")?.join(format!("{name}.gguf"));
    Some(ModelFile::open(&path).unwrap().metadata().clone())
}

fn tokenizer(name: &str) -> Option<Tokenizer> {
    metadata(name).map(|metadata| Tokenizer::from_metadata(&metadata).unwrap())
}

/// The reference texts with their ids.
pub fn cases(folder: &Path, name: &str) -> Vec<(String, Vec<u32>)> {
    let texts = std::fs::read_to_string(folder.join(format!("{name}.inp"))).unwrap();
    let ids = std::fs::read_to_string(folder.join(format!("{name}.out"))).unwrap();
    let ids = ids.lines().map(|line| {
        line.split_whitespace()
            .map(|id| id.parse().unwrap())
            .collect()
    });
    let mark = "\n__ggml_vocab_test__\n";
    let texts = texts.strip_suffix(mark).unwrap_or(&texts); // some end without it
    let texts: Vec<&str> = texts.split(mark).collect();
    assert_eq!(texts.len(), ids.clone().count(), "{name}");
    texts.into_iter().map(str::to_owned).zip(ids).collect()
}

#[test]
fn every_reference_text_has_the_ids_it_should() {
    let Some(folder) = crate::support::shared::reference("tokenizers") else {
        return;
    };
    for name in NAMES {
        let tokenizer = tokenizer(name).unwrap();
        let cases = cases(&folder, name);
        assert!(cases.len() > 40, "{name}: {} cases", cases.len());
        for (text, ids) in cases {
            assert_eq!(
                tokenizer.encode(&text, false).unwrap(),
                ids,
                "{name}: {text:?}"
            );
        }
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}

#[test]
fn texts_of_byte_pairs_come_back_as_they_were() {
    for name in ["gemma-4", "gpt-2", "llama-bpe", "qwen2"] {
        let Some(tokenizer) = tokenizer(name) else {
            return;
        };
        for (text, ids) in cases(
            &crate::support::shared::reference("tokenizers").unwrap(),
            name,
        ) {
            assert_eq!(tokenizer.decode(&ids), text, "{name}");
        }
        proptest!(config(200), |(text in any::<String>(), spaces in "[ \n\ta1'.é]{0,20}")| {
            let text = (text + &spaces).replace('▁', "");
            prop_assert_eq!(&tokenizer.decode(&tokenizer.encode(&text, false).unwrap()), &text);
        });
    }
}

#[test]
fn sentencepiece_texts_come_back_behind_a_space() {
    let Some(tokenizer) = tokenizer("llama-spm") else {
        return;
    };
    proptest!(config(300), |(text in any::<String>(), spaces in "[ \n\ta1'.é]{0,20}")| {
        let text = text + &spaces;
        let expected = if text.is_empty() { String::new() } else { format!(" {}", text.replace('▁', " ")) };
        prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text, false).unwrap()), expected);
    });
}

#[test]
fn special_tokens_are_parsed_and_added_where_asked_for() {
    let Some(llama) = tokenizer("llama-bpe") else {
        return;
    };
    let text = "<|start_header_id|>user<|eot_id|>";
    assert_eq!(
        llama.encode(text, true).unwrap(),
        [128_000, 128_006, 882, 128_009]
    );
    assert_eq!(
        llama.encode_rendered(text).unwrap(),
        [128_006, 882, 128_009]
    );
    assert!(
        llama
            .encode(text, false)
            .unwrap()
            .iter()
            .all(|&id| id < 128_000)
    );
    assert_eq!((llama.bos(), llama.eos()), (Some(128_000), Some(128_001)));
    assert!(llama.is_end(128_001) && llama.is_end(128_009) && !llama.is_end(128_006));
    assert!(llama.is_special(128_006) && !llama.is_special(882));
    assert_eq!(llama.bytes(128_009), b"<|eot_id|>");
    assert_eq!(llama.vocab_size(), 128_256);

    let spm = tokenizer("llama-spm").unwrap();
    assert_eq!(spm.encode("Hi<s>Hi", true).unwrap(), [1, 6324, 1, 6324]);
    assert_eq!(spm.encode_rendered("<s>[").unwrap(), [1, 518]);
    assert_eq!(spm.encode("", true).unwrap(), [1]);
    assert!(spm.is_end(2) && spm.is_special(0));
    assert_eq!(spm.bytes(0x0A + 3), b"\n");

    let gemma = tokenizer("gemma-4").unwrap();
    assert_eq!(
        gemma.encode("<|turn>user\n\n\nHi<turn|>", true).unwrap(),
        [2, 105, 2364, 109, 10979, 106]
    );
    assert!(gemma.is_end(1) && gemma.is_end(106) && gemma.is_special(105));
    assert_eq!(gemma.bytes(236_743), b" ");
    assert_eq!(gemma.bytes(238 + 0x0A), b"\n");

    let qwen = tokenizer("qwen2").unwrap();
    assert_eq!(
        qwen.encode("<|im_end|>[PAD151646]", true).unwrap(),
        [151_645, 151_646]
    );
    assert_eq!(qwen.encode("[PAD151646]", false).unwrap(), [151_646]);
    assert!(qwen.is_end(151_643) && qwen.is_end(151_645) && !qwen.is_end(151_644));
}

#[test]
fn building_and_encoding_are_quick() {
    let prose =
        "The quick brown fox, aged 33½, can't jump over 1234 lazy dogs! 我想在apple工作\n\n";
    for name in NAMES {
        let Some(metadata) = metadata(name) else {
            return;
        };
        let start = Instant::now();
        let tokenizer = Tokenizer::from_metadata(&metadata).unwrap();
        let mut report = format!("{name}: built in {:?};", start.elapsed());
        for unit in [prose, "a", " ", "=", "x "] {
            let text = unit.repeat((1 << 20) / unit.len());
            let start = Instant::now();
            let tokens = tokenizer.encode(&text, false).unwrap();
            let took = start.elapsed();
            assert!(
                took < Duration::from_secs(20),
                "{name}: {took:?} for 1 MiB of {unit:?}"
            );
            let _ = write!(report, " {unit:?} {took:?} ({})", tokens.len());
        }
        println!("{report}");
    }
}

/// A sound little vocabulary of the kind `model`, ready to be spoilt.
fn small(model: &str) -> Metadata {
    let mut metadata = Metadata::default();
    let mut set = |key: &str, value| metadata.0.insert(format!("tokenizer.ggml.{key}"), value);
    let tokens = ["<unk>", "<s>", "</s>", "a", "b", "ab", "abab", "▁"];
    set("model", text(model));
    set("tokens", Value::Texts(tokens.map(str::to_owned).to_vec()));
    set("token_type", Value::Integers(vec![2, 3, 3, 1, 1, 1, 1, 1]));
    set(
        "scores",
        Value::Floats(vec![0.0, 0.0, 0.0, -1.0, -1.0, -1.0, -2.0, -3.0]),
    );
    set("merges", texts(&["a b", "ab ab"]));
    metadata
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn texts(texts: &[&str]) -> Value {
    Value::Texts(texts.iter().map(|&text| text.to_owned()).collect())
}

#[test]
fn small_vocabularies_work() {
    let pairs = Tokenizer::from_metadata(&small("gpt2")).unwrap();
    assert_eq!(pairs.encode("ababab<s>?", false).unwrap(), [6, 5]);
    let pieces = Tokenizer::from_metadata(&small("llama")).unwrap();
    assert_eq!(pieces.encode("ababab?", false).unwrap(), [7, 6, 5, 0]);
}

/// As llama.cpp has it: joined all the same, and what is no token is written a byte at a time.
#[test]
fn merges_of_no_tokens_stop_nothing() {
    let ids = |merges: &[&str], text: &str| {
        let mut metadata = small("gpt2");
        let key = "tokenizer.ggml.merges".to_owned();
        metadata.0.insert(key, texts(merges));
        let tokenizer = Tokenizer::from_metadata(&metadata).unwrap();
        tokenizer.encode(text, false).unwrap()
    };
    let long = "x".repeat(100_000);
    for unused in ["ab", "", "a  b", "x y", "abab abab", &long] {
        assert_eq!(ids(&[unused, "a b", "ab ab"], "ababab"), [6, 5], "{unused}");
    }
    assert_eq!(ids(&["b a", "a b"], "abab"), [3, 4, 3, 4]);
    assert_eq!(
        ids(&["a b"], "axb"),
        [3, 4],
        "nothing joins across a letter that is no token"
    );
}

/// A tokenizer of these texts, the first eight of them with types 2 3 3 1 1 1 1 1, and one key more.
fn with_tokens(model: &str, tokens: &[&str], key: &str, value: Value) -> Tokenizer {
    let mut metadata = small(model);
    let mut set = |key: &str, value| metadata.0.insert(key.to_owned(), value);
    set("tokenizer.ggml.tokens", texts(tokens));
    set("tokenizer.ggml.merges", texts(&[]));
    set(key, value);
    Tokenizer::from_metadata(&metadata).unwrap()
}

fn ends(tokenizer: &Tokenizer) -> Vec<&str> {
    let ids = 0..tokenizer.vocab_size() as u32;
    let ends = ids.filter(|&id| tokenizer.is_end(id));
    ends.filter_map(|id| tokenizer.text(id)).collect()
}

#[test]
fn what_ends_a_turn_is_known_by_key_and_by_text() {
    let tokens = [
        "?",
        "a",
        "b",
        "<|im_end|>",
        "<file>",
        "</s>",
        "<fim_pad>",
        "<PAD>",
    ];
    let key = "tokenizer.ggml.eot_token_id";
    let tokenizer = with_tokens("gpt2", &tokens, key, Value::Unsigned(2));
    assert_eq!(ends(&tokenizer), ["b", "<|im_end|>", "</s>", "<fim_pad>"]);
    // Known by text, they are control tokens, whatever the file says.
    assert!(tokenizer.is_special(3) && tokenizer.is_special(5) && !tokenizer.is_special(4));
    assert_eq!(tokenizer.encode_rendered("a<|im_end|>").unwrap(), [1, 3]);
    assert!(tokenizer.encode("<|im_end|>", false).unwrap().is_empty());

    let harmony = [
        "?",
        "a",
        "b",
        "<|end|>",
        "<|return|>",
        "<|call|>",
        "<|channel|>",
        "x",
    ];
    let tokenizer = with_tokens("gpt2", &harmony, "x", Value::Bool(true));
    assert_eq!(ends(&tokenizer), ["<|return|>", "<|call|>"]);
    assert_eq!(
        tokenizer.encode("<|channel|><|end|>", false).unwrap(),
        [6, 3]
    );

    let gemma = ["?", "a", "b", "</s>", "<|tool_response>", "c", "d", "e"];
    let tokenizer = with_tokens("gpt2", &gemma, "x", Value::Bool(true));
    assert_eq!(ends(&tokenizer), ["<|tool_response>"]);
}

#[test]
fn phi_3_swallows_the_space_after_special_tokens() {
    let tokens = ["<unk>", "<s>", "<|end|>", "▁", "a", "▁a", "\n", "b"];
    let name = |name| with_tokens("llama", &tokens, "general.name", text(name));
    let text = "<|end|>\n a<s> a";
    assert_eq!(
        name("Phi-3.5 mini").encode_rendered(text).unwrap(),
        [2, 5, 1, 3, 5]
    );
    assert_eq!(
        name("Llama").encode_rendered(text).unwrap(),
        [2, 3, 6, 5, 1, 3, 5]
    );
}

#[test]
fn hostile_vocabularies_are_errors() {
    let long = "x".repeat(100_000);
    let spoilt: &[(&str, &str, Value)] = &[
        ("gpt2", "model", text("gpt3")),
        ("gpt2", "model", Value::Unsigned(1)),
        ("gpt2", "pre", text(&long)),
        ("gpt2", "tokens", texts(&[])),
        (
            "gpt2",
            "tokens",
            Value::Unusable {
                what: "an array of arrays".to_owned(),
                raw: vec![],
            },
        ),
        (
            "gpt2",
            "tokens",
            texts(&["a", "b", "ab", "a", "c", "d", "e", "f"]),
        ),
        ("gpt2", "tokens", texts(&["a", "b"])),
        ("gpt2", "token_type", Value::Integers(vec![1])),
        ("gpt2", "merges", text("a b")),
        ("gpt2", "bos_token_id", Value::Unsigned(8)),
        ("gpt2", "eos_token_id", Value::Signed(-7)),
        ("gpt2", "eot_token_id", Value::Unsigned(1 << 40)),
        ("gpt2", "add_bos_token", Value::Bool(true)),
        ("gpt2", "add_eos_token", Value::Unsigned(1)),
        ("llama", "scores", Value::Floats(vec![0.0; 9])),
        ("llama", "scores", Value::Floats(vec![f64::NAN; 8])),
        ("llama", "scores", texts(&["x"])),
        ("llama", "unknown_token_id", Value::Unsigned(99)),
    ];
    for (model, key, value) in spoilt {
        let mut metadata = small(model);
        metadata
            .0
            .insert(format!("tokenizer.ggml.{key}"), value.clone());
        let error = Tokenizer::from_metadata(&metadata).map(|_| ()).unwrap_err();
        assert!(
            matches!(error, Error::BadFile { .. } | Error::Unsupported { .. }),
            "{key}: {error}"
        );
        assert!(error.to_string().len() < 1000, "{key}: {error}");
    }
    for (model, key) in [
        ("gpt2", "merges"),
        ("gpt2", "tokens"),
        ("llama", "scores"),
        ("llama", "tokens"),
    ] {
        let mut metadata = small(model);
        metadata.0.remove(&format!("tokenizer.ggml.{key}"));
        assert!(
            matches!(
                Tokenizer::from_metadata(&metadata),
                Err(Error::BadFile { .. })
            ),
            "without {key}"
        );
    }
}

#[test]
fn a_model_without_a_tokenizer_says_so_when_text_is_asked_for() {
    for model in [Some("none"), None] {
        let mut metadata = Metadata::default();
        metadata
            .0
            .extend(model.map(|model| ("tokenizer.ggml.model".to_owned(), text(model))));
        let tokenizer = Tokenizer::from_metadata(&metadata).unwrap();
        assert!(matches!(
            tokenizer.encode("", true),
            Err(Error::Unsupported { .. })
        ));
        assert!(matches!(
            tokenizer.encode_rendered("x"),
            Err(Error::Unsupported { .. })
        ));
        assert_eq!((tokenizer.bytes(0), tokenizer.vocab_size()), (vec![], 0));
    }
}

proptest! {
    #![proptest_config(config(2000))]

    /// Whatever a vocabulary holds, it is an error or a tokenizer that takes any text.
    #[test]
    fn no_vocabulary_makes_it_panic(
        model in "gpt2|llama|gemma4|whitespace|bert|t5|rwkv",
        tokens in prop::collection::vec("[ab▁Ġ <s>é\\\\]{0,4}", 0..12),
        types in prop::collection::vec(-1i64..8, 0..12),
        scores in prop::collection::vec(prop_oneof![any::<f64>(), Just(0.0)], 0..12),
        merges in prop::collection::vec("[ab▁Ġ é]{0,5}", 0..6),
        bos in any::<u32>(),
        text in "[ab é<s>\n]{0,12}",
    ) {
        let mut metadata = Metadata::default();
        let mut set = |key: &str, value| metadata.0.insert(format!("tokenizer.ggml.{key}"), value);
        let length = tokens.len();
        let fit = |list: &[i64]| list.iter().copied().cycle().take(length).collect::<Vec<_>>();
        set("model", Value::Text(model));
        if bos % 4 > 0 && !types.is_empty() && !scores.is_empty() {
            set("token_type", Value::Integers(fit(&types)));
            set("scores", Value::Floats(scores.iter().copied().cycle().take(length).collect()));
        } else {
            set("bos_token_id", Value::Unsigned(bos.into()));
            set("token_type", Value::Integers(types));
            set("scores", Value::Floats(scores));
        }
        set("tokens", Value::Texts(tokens));
        set("merges", Value::Texts(if bos % 2 == 0 { merges } else { Vec::new() }));
        if let Ok(tokenizer) = Tokenizer::from_metadata(&metadata) {
            for token in tokenizer.encode(&text, bos % 8 > 3).unwrap() {
                prop_assert!((token as usize) < tokenizer.vocab_size());
            }
        }
    }
}
