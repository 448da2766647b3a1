//! A change to each key of a `tokenizer.json`, in a file in which it should count.

use serde_json::{Value as Json, json};

use super::shapes::{
    byte_level, bytes, file, metaspace, plain, precompiled, replace, sequence, spaced, split,
    template, unigram, word_level, word_piece,
};

/// Key by its place, the file before and after.
type Change = (String, Json, Json);

/// A place, the part there, and each of its keys with another value.
type Row = (&'static str, Json, Vec<(&'static str, Json)>);

/// A change for every key that is known.
pub fn of_files() -> Vec<Change> {
    let rows = [
        whole(),
        normalizers(),
        pre_tokenizers(),
        post_processors(),
        decoders(),
        models(),
    ]
    .concat();
    let mut all = Vec::new();
    for (place, part, changes) in rows {
        for (key, value) in changes {
            let mut changed = part.clone();
            changed[key] = value;
            let name = [place, key].into_iter().filter(|name| !name.is_empty());
            let name = name.collect::<Vec<_>>().join(".");
            all.push((name, around(place, part.clone()), around(place, changed)));
        }
    }
    all
}

/// A file with the part at this place, and what it takes to see it.
fn around(place: &str, part: Json) -> Json {
    let fallback = || spaced(json!({"unk_token": "<unk>", "byte_fallback": true}));
    let mark = metaspace("never", false);
    let Some((name, kind)) = place.split_once('.') else {
        if place.is_empty() {
            return part;
        }
        let lower = json!({"type": "Lowercase"});
        let mut whole = file(
            lower,
            byte_level(false, true),
            bytes(json!({})),
            Json::Null,
            byte_level(true, true),
        );
        let place = part["id"].as_u64().unwrap() as usize % 9000;
        whole["added_tokens"][place] = part;
        return whole;
    };
    match (name, kind) {
        ("normalizer", _) => file(part, mark, fallback(), Json::Null, Json::Null),
        ("pre_tokenizer", "ByteLevel") => file(
            Json::Null,
            part,
            bytes(json!({})),
            Json::Null,
            byte_level(true, true),
        ),
        ("pre_tokenizer", _) => file(Json::Null, part, fallback(), Json::Null, Json::Null),
        ("post_processor", _) => file(Json::Null, mark, fallback(), part, Json::Null),
        ("decoder", "WordPiece") => file(
            Json::Null,
            json!({"type": "Whitespace"}),
            word_piece(json!({})),
            Json::Null,
            part,
        ),
        ("decoder", "BPEDecoder") => {
            let model = plain("", "</w>", json!({"end_of_word_suffix": "</w>"}));
            file(
                Json::Null,
                json!({"type": "Whitespace"}),
                model,
                Json::Null,
                part,
            )
        }
        ("decoder", _) => file(Json::Null, mark, fallback(), Json::Null, part),
        (_, "Unigram") => file(Json::Null, mark, part, Json::Null, Json::Null),
        _ => file(
            Json::Null,
            json!({"type": "Whitespace"}),
            part,
            Json::Null,
            Json::Null,
        ),
    }
}

fn whole() -> Vec<Row> {
    let lower = json!({"type": "Lowercase"});
    let whole = file(
        lower,
        byte_level(false, true),
        bytes(json!({})),
        template(),
        byte_level(true, true),
    );
    let cut =
        json!({"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
    let pad = json!({"strategy": {"Fixed": 30}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "th"});
    let token = |id: u32, content: &str, flag: &str| {
        let mut token = json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": false});
        token[flag] = json!(true);
        token
    };
    let off = |key| vec![(key, json!(false))];
    vec![
        (
            "",
            whole,
            vec![
                ("version", json!("2.0")),
                ("added_tokens", json!([])),
                ("normalizer", Json::Null),
                ("pre_tokenizer", Json::Null),
                ("post_processor", Json::Null),
                ("decoder", Json::Null),
                ("model", bytes(json!({"merges": []}))),
                ("truncation", cut),
                ("padding", pad),
            ],
        ),
        (
            "added_tokens",
            token(9003, "<mask>", "lstrip"),
            vec![
                ("lstrip", json!(false)),
                ("content", json!("<musk>")),
                ("id", json!(18003)),
            ],
        ),
        (
            "added_tokens",
            token(9004, "<sep>", "rstrip"),
            off("rstrip"),
        ),
        (
            "added_tokens",
            token(9005, "ell", "single_word"),
            off("single_word"),
        ),
        (
            "added_tokens",
            token(9007, "Ünd", "normalized"),
            off("normalized"),
        ),
        (
            "added_tokens",
            token(9004, "<sep>", "special"),
            off("special"),
        ),
    ]
}

fn normalizers() -> Vec<Row> {
    let bert = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true});
    let strip = json!({"type": "Strip", "strip_left": true, "strip_right": true});
    vec![
        (
            "normalizer.Sequence",
            sequence("normalizers", json!([{"type": "NFD"}])),
            vec![("normalizers", json!([]))],
        ),
        (
            "normalizer.BertNormalizer",
            bert,
            vec![
                ("clean_text", json!(false)),
                ("handle_chinese_chars", json!(false)),
                ("strip_accents", json!(false)),
                ("lowercase", json!(false)),
            ],
        ),
        (
            "normalizer.Strip",
            strip,
            vec![("strip_left", json!(false)), ("strip_right", json!(false))],
        ),
        (
            "normalizer.Precompiled",
            precompiled(),
            vec![("precompiled_charsmap", json!("AAAAAA=="))],
        ),
        (
            "normalizer.Replace",
            replace("String", " ", "▁"),
            vec![("pattern", json!({"String": "h"})), ("content", json!("x"))],
        ),
        (
            "normalizer.Prepend",
            json!({"type": "Prepend", "prepend": "▁"}),
            vec![("prepend", json!("a"))],
        ),
    ]
}

fn pre_tokenizers() -> Vec<Row> {
    let mut level = byte_level(true, true);
    level["trim_offsets"] = json!(false);
    let mut space = metaspace("always", true);
    (space["add_prefix_space"], space["str_rep"]) = (json!(true), json!("▁"));
    let part = |kind: &str, key: &str, value: Json| json!({"type": kind, key: value});
    vec![
        (
            "pre_tokenizer.Sequence",
            sequence("pretokenizers", json!([{"type": "Whitespace"}])),
            vec![("pretokenizers", json!([]))],
        ),
        (
            "pre_tokenizer.ByteLevel",
            level,
            vec![
                ("add_prefix_space", json!(false)),
                ("trim_offsets", json!(true)),
                ("use_regex", json!(false)),
            ],
        ),
        (
            "pre_tokenizer.CharDelimiterSplit",
            part("CharDelimiterSplit", "delimiter", json!("e")),
            vec![("delimiter", json!("h"))],
        ),
        (
            "pre_tokenizer.Metaspace",
            space,
            vec![
                ("replacement", json!("a")),
                ("add_prefix_space", json!(false)),
                ("prepend_scheme", json!("first")),
                ("split", json!(false)),
                ("str_rep", json!("x")),
            ],
        ),
        (
            "pre_tokenizer.Split",
            split("String", "e", "Removed", false),
            vec![
                ("pattern", json!({"Regex": "[eh]"})),
                ("behavior", json!("Isolated")),
                ("invert", json!(true)),
            ],
        ),
        (
            "pre_tokenizer.Punctuation",
            part("Punctuation", "behavior", json!("Isolated")),
            vec![("behavior", json!("Removed"))],
        ),
        (
            "pre_tokenizer.Digits",
            part("Digits", "individual_digits", json!(false)),
            vec![("individual_digits", json!(true))],
        ),
        (
            "pre_tokenizer.FixedLength",
            part("FixedLength", "length", json!(3)),
            vec![("length", json!(2))],
        ),
    ]
}

fn post_processors() -> Vec<Row> {
    let pair = |kind: &str| json!({"type": kind, "sep": ["</s>", 2], "cls": ["<s>", 1]});
    let mut roberta = pair("RobertaProcessing");
    (roberta["trim_offsets"], roberta["add_prefix_space"]) = (json!(true), json!(true));
    let ends = || vec![("sep", json!(["<s>", 1])), ("cls", json!(["</s>", 2]))];
    let offsets = || {
        vec![
            ("trim_offsets", json!(false)),
            ("add_prefix_space", json!(false)),
        ]
    };
    let id = |number: u32| json!({"id": "<s>", "ids": [number], "tokens": ["<s>"]});
    vec![
        (
            "post_processor.Sequence",
            sequence("processors", json!([template()])),
            vec![("processors", json!([]))],
        ),
        (
            "post_processor.RobertaProcessing",
            roberta,
            [ends(), offsets()].concat(),
        ),
        (
            "post_processor.BertProcessing",
            pair("BertProcessing"),
            ends(),
        ),
        (
            "post_processor.ByteLevel",
            byte_level(true, true),
            [offsets(), vec![("use_regex", json!(false))]].concat(),
        ),
        (
            "post_processor.TemplateProcessing",
            template(),
            vec![
                ("single", json!([{"Sequence": {"id": "A", "type_id": 0}}])),
                ("pair", json!([])),
                ("special_tokens", json!({"<s>": id(7), "</s>": id(7)})),
            ],
        ),
    ]
}

fn decoders() -> Vec<Row> {
    let part = |kind: &str, key: &str, value: Json| json!({"type": kind, key: value});
    let mut space = metaspace("always", true);
    (space["add_prefix_space"], space["str_rep"]) = (json!(true), json!("▁"));
    space["prepend_scheme"] = json!("never");
    space["add_prefix_space"] = json!(false);
    vec![
        (
            "decoder.Sequence",
            sequence("decoders", json!([{"type": "Fuse"}])),
            vec![("decoders", json!([replace("String", "▁", " ")]))],
        ),
        (
            "decoder.BPEDecoder",
            part("BPEDecoder", "suffix", json!("</w>")),
            vec![("suffix", json!("e"))],
        ),
        (
            "decoder.ByteLevel",
            byte_level(true, true),
            vec![
                ("add_prefix_space", json!(false)),
                ("trim_offsets", json!(false)),
                ("use_regex", json!(false)),
            ],
        ),
        (
            "decoder.WordPiece",
            json!({"type": "WordPiece", "prefix": "##", "cleanup": false}),
            vec![("prefix", json!("a")), ("cleanup", json!(true))],
        ),
        (
            "decoder.Metaspace",
            space,
            vec![
                ("replacement", json!("a")),
                ("add_prefix_space", Json::Null),
                ("prepend_scheme", json!("never")),
                ("split", json!(false)),
                ("str_rep", json!("x")),
            ],
        ),
        (
            "decoder.Replace",
            replace("String", "▁", " "),
            vec![("pattern", json!({"String": "h"})), ("content", json!("x"))],
        ),
        (
            "decoder.Strip",
            json!({"type": "Strip", "content": "e", "start": 1, "stop": 0}),
            vec![
                ("content", json!("h")),
                ("start", json!(0)),
                ("stop", json!(1)),
            ],
        ),
    ]
}

#[rustfmt::skip]
fn models() -> Vec<Row> {
    let swapped = |model: &Json, left: &str, right: &str| {
        let mut vocab = model["vocab"].clone();
        let (first, second) = (vocab[left].clone(), vocab[right].clone());
        (vocab[left], vocab[right]) = (second, first);
        vocab
    };
    let unk = json!({"unk_token": "<unk>"});
    let bpe = plain("", "", unk.clone());
    let whole = plain("", "", json!({"ignore_merges": true, "merges": []}));
    let within = plain(
        "##",
        "",
        json!({"unk_token": "<unk>", "continuing_subword_prefix": "##"}),
    );
    let ends = plain(
        "",
        "</w>",
        json!({"unk_token": "<unk>", "end_of_word_suffix": "</w>"}),
    );
    let pieces = word_piece(json!({}));
    let (uni, level) = (unigram(true), word_level());
    let mut worse = uni["vocab"].clone();
    worse[294] = json!(["zzz", -3.0]); // "the"
    vec![
        (
            "model.BPE",
            bpe.clone(),
            vec![
                ("vocab", swapped(&bpe, "a", "b")),
                ("merges", json!([])),
                ("dropout", json!(0.5)),
                ("unk_token", Json::Null),
                ("fuse_unk", json!(true)),
            ],
        ),
        ("model.BPE", within, vec![("continuing_subword_prefix", Json::Null)]),
        ("model.BPE", ends, vec![("end_of_word_suffix", Json::Null)]),
        ("model.BPE", whole, vec![("ignore_merges", json!(false))]),
        ("model.BPE", spaced(unk), vec![("byte_fallback", json!(true))]),
        (
            "model.Unigram",
            uni,
            vec![
                ("vocab", worse),
                ("unk_id", json!(1)),
                ("byte_fallback", json!(false)),
            ],
        ),
        (
            "model.WordPiece",
            pieces.clone(),
            vec![
                ("vocab", swapped(&pieces, "the", "and")),
                ("unk_token", json!("<unk>")),
                ("continuing_subword_prefix", json!("x")),
                ("max_input_chars_per_word", json!(2)),
            ],
        ),
        (
            "model.WordLevel",
            level.clone(),
            vec![("vocab", swapped(&level, "the", "and")), ("unk_token", json!("the"))],
        ),
    ]
}

/// A value for a key of `tokenizer_config.json` that should count.
pub fn of_setting(key: &str) -> Json {
    match key {
        "added_tokens_decoder" => json!({"700": {"content": "hel"}}),
        "extra_special_tokens" | "additional_special_tokens" => json!(["hel"]),
        "model_specific_special_tokens" => json!({"image_token": "hel"}),
        "chat_template" => json!("{{ messages }}"),
        _ if key.ends_with("_token") && !key.starts_with("add_") => json!("hel"),
        _ => json!(true),
    }
}
