//! Files `tokenizer.json` of every shape that a Hugging Face folder may have, small enough to be read at a glance, and texts to try them on.
#![expect(
    clippy::needless_pass_by_value,
    reason = "parts are made where they are given"
)]

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value as Json, json};

/// The words of Llama 3.
pub const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Texts that merges make tokens of, a beginning at a time.
const WORDS: [&str; 12] = [
    "the", "and", "word", "café", "ing", "hello", "world", "日本", "12", "...", "don't", "über",
];

/// A file of these parts.
pub fn file(
    normalizer: Json,
    pre_tokenizer: Json,
    model: Json,
    post_processor: Json,
    decoder: Json,
) -> Json {
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added(), "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer, "post_processor": post_processor, "decoder": decoder, "model": model,
    })
}

/// Tokens with every flag, some of them in the model's vocabulary.
pub fn added() -> Vec<Json> {
    let token = |content: &str, flags: &[&str]| {
        let has = |flag: &str| flags.contains(&flag);
        json!({"id": 9000, "content": content, "single_word": has("single_word"), "lstrip": has("lstrip"), "rstrip": has("rstrip"),
            "normalized": has("normalized"), "special": has("special")})
    };
    vec![
        token("<s>", &["special"]),
        token("</s>", &["special", "rstrip"]),
        token("<unk>", &["special"]),
        token("<mask>", &["lstrip"]),
        token("<sep>", &["rstrip", "special"]),
        token("word", &["single_word"]),
        token("<both>", &["lstrip", "rstrip", "normalized"]),
        token("Ünd", &["normalized"]),
        token("new york", &["normalized", "single_word", "special"]),
        token("<s><s>", &[]),
        token("a\u{301}", &["normalized"]),
    ]
}

/// Special tokens around a text.
pub fn template() -> Json {
    let token = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    let text = |id: &str, kind: u32| json!({"Sequence": {"id": id, "type_id": kind}});
    let special = |id: &str, number: u32| json!({"id": id, "ids": [number], "tokens": [id]});
    json!({
        "type": "TemplateProcessing",
        "single": [token("<s>"), text("A", 0), token("</s>")],
        "pair": [token("<s>"), text("A", 0), token("</s>"), text("B", 1), token("</s>")],
        "special_tokens": {"<s>": special("<s>", 1), "</s>": special("</s>", 2)},
    })
}

/// The letter that stands for a byte in a byte-level vocabulary.
fn letter(byte: u8) -> char {
    let seen = |byte: u8| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    if seen(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&byte| !seen(byte)).count();
    char::from_u32(0x100 + before as u32).unwrap()
}

fn letters(text: &str) -> String {
    text.bytes().map(letter).collect()
}

/// Byte pairs over these first tokens: each word is joined a letter at a time, the prefix of letters within words left out of a join.
fn pairs(first: Vec<String>, words: &[String], within: &str, end: &str, more: Json) -> Json {
    let mut vocab: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).to_vec();
    let add = |vocab: &mut Vec<String>, text: &str| {
        if !vocab.iter().any(|own| own == text) {
            vocab.push(text.to_owned());
        }
    };
    for text in &first {
        add(&mut vocab, text);
    }
    let mut merges: Vec<Json> = Vec::new();
    for word in words {
        let count = word.chars().count();
        let mut parts = word.chars().enumerate().map(|(at, letter)| {
            let start = if at == 0 { "" } else { within };
            let end = if at + 1 == count { end } else { "" };
            format!("{start}{letter}{end}")
        });
        let mut left = parts.next().unwrap();
        add(&mut vocab, &left);
        for right in parts {
            add(&mut vocab, &right);
            let joined = format!("{left}{}", &right[within.len()..]);
            add(&mut vocab, &joined);
            let merge = json!([left, right]);
            if !merges.contains(&merge) {
                merges.push(merge);
            }
            left = joined;
        }
    }
    let ids: Map<String, Json> = vocab
        .into_iter()
        .zip(0..)
        .map(|(text, id)| (text, json!(id)))
        .collect();
    let mut model = json!({
        "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
        "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": ids, "merges": merges,
    });
    for (key, value) in more.as_object().unwrap() {
        model[key] = value.clone();
    }
    model
}

/// Byte-level pairs.
pub fn bytes(more: Json) -> Json {
    let words: Vec<String> = WORDS
        .iter()
        .flat_map(|word| [letters(word), letters(&format!(" {word}"))])
        .collect();
    pairs(
        (0..=255).map(|byte| letter(byte).to_string()).collect(),
        &words,
        "",
        "",
        more,
    )
}

/// Pairs of characters, with spaces as `▁`, and tokens for bytes.
pub fn spaced(more: Json) -> Json {
    let first = (0..=255).map(|byte: u8| format!("<0x{byte:02X}>"));
    let alphabet = "▁abcdefghijklmnopqrstuvwxyzABCDé.,'12日本語 ";
    let first = first.chain(alphabet.chars().map(String::from)).collect();
    let words: Vec<String> = WORDS
        .iter()
        .flat_map(|word| [word.to_string(), format!("▁{word}")])
        .collect();
    let words = [words, vec!["▁▁".into(), "▁▁▁▁".into()]].concat();
    pairs(first, &words, "", "", more)
}

/// Pairs within words, some characters unknown.
pub fn plain(within: &str, end: &str, more: Json) -> Json {
    let alphabet = "abcdefghijklmnopqrstuvwxyz.,'123é日";
    let first = alphabet.chars().flat_map(|c| {
        [
            format!("{c}"),
            format!("{within}{c}"),
            format!("{c}{end}"),
            format!("{within}{c}{end}"),
        ]
    });
    let words: Vec<String> = WORDS.iter().map(ToString::to_string).collect();
    pairs(first.collect(), &words, within, end, more)
}

pub fn word_piece(more: Json) -> Json {
    let alphabet = "abcdefghijklmnopqrstuvwxyz0123.,'é日本";
    let special = ["[UNK]", "<s>", "</s>", "<unk>"].map(str::to_owned);
    let letters = alphabet
        .chars()
        .flat_map(|c| [c.to_string(), format!("##{c}")]);
    let words = WORDS
        .iter()
        .flat_map(|word| [word.to_string(), format!("##{word}")]);
    let mut model = json!({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": numbered(special.into_iter().chain(letters).chain(words))});
    for (key, value) in more.as_object().unwrap() {
        model[key] = value.clone();
    }
    model
}

pub fn word_level() -> Json {
    let special = ["[UNK]", "<s>", "</s>"].map(str::to_owned).into_iter();
    let words = WORDS
        .iter()
        .chain(&["a", "b", "!", "é"])
        .map(ToString::to_string);
    json!({"type": "WordLevel", "unk_token": "[UNK]", "vocab": numbered(special.chain(words))})
}

fn numbered(texts: impl Iterator<Item = String>) -> Map<String, Json> {
    let mut ids = Map::new();
    for text in texts {
        let next = ids.len();
        ids.entry(text).or_insert(json!(next));
    }
    ids
}

pub fn unigram(bytes: bool) -> Json {
    let mut vocab = vec![
        json!(["<unk>", 0.0]),
        json!(["<s>", 0.0]),
        json!(["</s>", 0.0]),
    ];
    if bytes {
        vocab.extend((0..=255).map(|byte: u8| json!([format!("<0x{byte:02X}>"), -9.0])));
    }
    let alphabet = "▁abcdefghijklmnopqrstuvwxyz.,'12é日本";
    vocab.extend(alphabet.chars().map(|c| json!([c.to_string(), -7.5])));
    for (at, word) in WORDS.iter().enumerate() {
        let score = -3.0 - at as f64 / 8.0;
        vocab.extend([
            json!([word, score]),
            json!([format!("▁{word}"), score + 0.5]),
        ]);
    }
    json!({"type": "Unigram", "unk_id": 0, "byte_fallback": bytes, "vocab": vocab})
}

pub fn sequence(list: &str, steps: Json) -> Json {
    json!({"type": "Sequence", list: steps})
}

pub fn byte_level(prefix: bool, regex: bool) -> Json {
    json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": regex})
}

pub fn metaspace(scheme: &str, split: bool) -> Json {
    json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split})
}

pub fn split(kind: &str, pattern: &str, behavior: &str, invert: bool) -> Json {
    json!({"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert})
}

pub fn replace(kind: &str, pattern: &str, content: &str) -> Json {
    json!({"type": "Replace", "pattern": {kind: pattern}, "content": content})
}

/// The decoder of Llama 2.
pub fn llama_decoder() -> Json {
    sequence(
        "decoders",
        json!([replace("String", "▁", " "), {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]),
    )
}

/// Character map of SentencePiece that makes `Q` `q`, and nothing else of anything else: a double array whose root lies at 256.
pub fn precompiled() -> Json {
    let mut units = vec![0u32; 1024];
    units[0] = 256 << 10;
    units[256 ^ 0x51] = 0x51 | 1 << 8 | 512 << 10;
    let trie = units.iter().flat_map(|unit| unit.to_le_bytes());
    let map: Vec<u8> = 4096u32
        .to_le_bytes()
        .into_iter()
        .chain(trie)
        .chain(*b"q\0")
        .collect();
    json!({"type": "Precompiled", "precompiled_charsmap": BASE64_STANDARD.encode(map)})
}

/// A name for each shape, and its file.
#[rustfmt::skip]
pub fn shapes() -> Vec<(&'static str, Json)> {
    let (none, nothing) = (Json::Null, json!({}));
    let kind = |kind: &str| json!({"type": kind});
    let unk = json!({"unk_token": "<unk>"});
    let fallback = json!({"unk_token": "<unk>", "byte_fallback": true, "fuse_unk": true});
    let bert = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true});
    let pair = |kind: &str| json!({"type": kind, "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": true, "add_prefix_space": true});
    let ends = json!({"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1]});
    let pieces = json!({"type": "WordPiece", "prefix": "##", "cleanup": false});
    let trim = |left: bool, right: bool| json!({"type": "Strip", "strip_left": left, "strip_right": right});
    let digits = |each: bool| json!({"type": "Digits", "individual_digits": each});
    let mark = |behavior: &str| json!({"type": "Punctuation", "behavior": behavior});
    let pre = |steps: Json| sequence("pretokenizers", steps);
    let norm = |steps: Json| sequence("normalizers", steps);
    let spaces = || norm(json!([{"type": "Prepend", "prepend": "▁"}, replace("String", " ", "▁")]));
    let spaced_decoder = metaspace("always", true);
    vec![
        ("gpt-2", file(none.clone(), byte_level(false, true), bytes(nothing.clone()), byte_level(true, true), byte_level(true, true))),
        ("gpt-2-prefix", file(none.clone(), byte_level(true, true), bytes(nothing.clone()), pair("RobertaProcessing"), byte_level(true, true))),
        ("llama-3", file(none.clone(), pre(json!([split("Regex", LLAMA3, "Isolated", false), byte_level(false, false)])),
            bytes(json!({"ignore_merges": true})), sequence("processors", json!([byte_level(true, false), template()])), byte_level(true, true))),
        ("qwen", file(kind("NFC"), pre(json!([split("Regex", &LLAMA3.replace("{1,3}", ""), "Isolated", false), byte_level(false, false)])),
            bytes(nothing.clone()), none.clone(), byte_level(false, false))),
        ("deepseek", file(none.clone(), pre(json!([split("Regex", r"[\r\n]", "Isolated", false), split("Regex", r"\s?\p{L}+", "Isolated", false),
            split("Regex", r"\s+$", "Isolated", false), split("Regex", r"^[0-9]", "Removed", false), digits(true), byte_level(false, false)])),
            bytes(nothing.clone()), template(), byte_level(false, false))),
        ("llama-2", file(spaces(), none.clone(), spaced(fallback.clone()), template(), llama_decoder())),
        ("llama-2-unfused", file(spaces(), none.clone(), spaced(unk.clone()), template(), llama_decoder())),
        ("llama-2-fused", file(spaces(), none.clone(), spaced(json!({"unk_token": "<unk>", "fuse_unk": true})), none.clone(), llama_decoder())),
        ("gemma", file(replace("String", " ", "▁"), split("String", " ", "MergedWithPrevious", false), spaced(fallback.clone()), template(),
            sequence("decoders", json!([replace("String", "▁", " "), {"type": "ByteFallback"}, {"type": "Fuse"}])))),
        ("metaspace-first", file(none.clone(), metaspace("first", false), spaced(fallback.clone()), template(), llama_decoder())),
        ("metaspace-always", file(none.clone(), metaspace("always", true), spaced(fallback), none.clone(), spaced_decoder.clone())),
        ("unigram", file(norm(json!([kind("Nmt"), kind("NFKC"), replace("Regex", " {2,}", " ")])), metaspace("always", true), unigram(false),
            template(), spaced_decoder.clone())),
        ("unigram-bytes", file(norm(json!([precompiled(), kind("NFKD")])), metaspace("never", true), unigram(true), ends.clone(), none.clone())),
        ("bert", file(bert, kind("BertPreTokenizer"), word_piece(nothing.clone()), ends, pieces.clone())),
        ("bert-cased", file(norm(json!([kind("NFD"), kind("StripAccents"), trim(true, false)])), kind("Whitespace"),
            word_piece(json!({"max_input_chars_per_word": 6})), template(), pieces)),
        ("clip", file(norm(json!([kind("NFC"), replace("Regex", r"\s+", " "), kind("Lowercase")])),
            pre(json!([split("Regex", r"'s|'t|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", "Removed", true), kind("WhitespaceSplit")])),
            plain("", "</w>", json!({"unk_token": "<unk>", "end_of_word_suffix": "</w>"})), pair("RobertaProcessing"),
            json!({"type": "BPEDecoder", "suffix": "</w>"}))),
        ("subwords", file(kind("NFKC"), pre(json!([kind("WhitespaceSplit"), mark("MergedWithNext")])),
            plain("##", "", json!({"unk_token": "<unk>", "continuing_subword_prefix": "##"})), none.clone(), none.clone())),
        ("words", file(norm(json!([trim(true, true), kind("Lowercase")])), pre(json!([kind("Whitespace"), mark("Contiguous")])), word_level(),
            template(), none.clone())),
        ("scripts", file(trim(false, true), pre(json!([kind("UnicodeScripts"), digits(false), mark("Removed"),
            {"type": "CharDelimiterSplit", "delimiter": "e"}, {"type": "FixedLength", "length": 4}])), plain("", "", unk), none.clone(), none.clone())),
        ("dropped", file(kind("NFD"), pre(json!([split("String", "-", "MergedWithNext", false), split("Regex", r"[\w']+|\W", "Isolated", false),
            split("Regex", r"\d", "Contiguous", true)])),
            plain("", "", nothing.clone()), none.clone(), none.clone())),
        ("bytes-normalized", file(kind("ByteLevel"), none.clone(), bytes(nothing), template(), byte_level(false, false))),
    ]
}

/// Parts of texts.
const FRAGMENTS: &[&str] = &[
    "the",
    " ",
    " ",
    "and",
    "hello",
    "world",
    " the",
    "café",
    "cafe\u{301}",
    "don't",
    "12",
    "1234",
    "½",
    "٣",
    "①",
    "...",
    ",",
    "!",
    "-",
    "\n",
    "\r\n",
    "\t",
    "   ",
    "\u{a0}",
    "\u{2003}",
    "\u{3000}",
    "\u{85}",
    "\u{2028}",
    "\u{200b}",
    "\u{1680}",
    "日本語",
    "日本",
    "ひらがな",
    "한국어",
    "\u{1112}\u{1161}\u{11ab}",
    "über",
    "u\u{308}ber",
    "ẛ\u{323}",
    "ﬁ",
    "Å",
    "İ",
    "ß",
    "Σς",
    "ǅ",
    "🦙",
    "👩‍👩‍👧",
    "🇩🇪",
    "²",
    "¼",
    "Ⓐ",
    "Ⅷ",
    "\u{200d}",
    "‿",
    "e\u{301}\u{323}",
    "<mask>",
    " <mask>",
    "<sep>",
    "<sep> ",
    "word",
    "sword",
    "words",
    "_word",
    "<both>",
    "ünd",
    "Ünd",
    "ÜND",
    "new york",
    "New York",
    "<s>",
    "</s>",
    "<unk>",
    "<s><s>",
    "a\u{301}",
    "á",
    "Q",
    "\u{0}",
    "\u{fffd}",
    "\u{7}",
    "'S",
    "ing",
    "_",
    "<0x41>",
    "▁",
    "Ġ",
    "[UNK]",
    "##",
    "x",
    "\u{ad}",
    "क्षि",
    "ไทย",
];

/// As many texts, the same every time.
pub fn texts(count: usize) -> Vec<String> {
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let text = |_| {
        (0..next(14))
            .map(|_| FRAGMENTS[next(FRAGMENTS.len())])
            .collect()
    };
    (0..count).map(text).collect()
}
