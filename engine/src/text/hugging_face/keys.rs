//! Keys of `tokenizer.json`, and what becomes of each. What no row has is refused: the file's form is closed.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::{
    Error, Result, Unsupported,
    file::{
        KeyRole::{self, Harmless, Read, Refused},
        KeyUse, Metadata, short,
    },
};

type Keys = &'static [(&'static str, KeyRole)];

/// A part of `tokenizer.json`.
#[derive(Debug)]
pub struct Part {
    /// Key of the part; empty for the file itself.
    pub name: &'static str,
    /// Key of the list in a `Sequence` of such parts.
    pub list: &'static str,
    /// Kinds of it (its `type`), each with its keys.
    pub kinds: &'static [(&'static str, Keys)],
}

const OFFSETS: KeyRole = Harmless("says where tokens lie in a text, which is not asked here");
const DECODING: KeyRole = Harmless("a decoder of bytes does not look at it");
const BYTE_LEVEL: Keys = &[
    ("add_prefix_space", Read),
    ("trim_offsets", OFFSETS),
    ("use_regex", Read),
];
const METASPACE: Keys = &[
    ("replacement", Read),
    ("add_prefix_space", Read),
    ("prepend_scheme", Read),
    ("split", Read),
    ("str_rep", Harmless("repeats `replacement`")),
];
const REPLACE: Keys = &[("pattern", Read), ("content", Read)];

/// Everything that a `tokenizer.json` may have.
#[rustfmt::skip]
pub const PARTS: &[Part] = &[
    Part { name: "", list: "", kinds: &[("", &[
        ("version", Read), ("added_tokens", Read), ("normalizer", Read), ("pre_tokenizer", Read), ("post_processor", Read),
        ("decoder", Read), ("model", Read),
        ("truncation", Harmless("transformers cuts a text only where its caller asks for that")),
        ("padding", Read), // its pad_token becomes a special token, and nothing is padded
    ])] },
    Part { name: "added_tokens", list: "", kinds: &[("", &[
        ("id", Harmless("the crate finds a token's number by its text, and gives new ones the next")),
        ("content", Read), ("single_word", Read), ("lstrip", Read), ("rstrip", Read), ("normalized", Read), ("special", Read),
    ])] },
    Part { name: "normalizer", list: "normalizers", kinds: &[
        ("Sequence", &[("normalizers", Read)]),
        ("BertNormalizer", &[("clean_text", Read), ("handle_chinese_chars", Read), ("strip_accents", Read), ("lowercase", Read)]),
        ("Strip", &[("strip_left", Read), ("strip_right", Read)]), ("StripAccents", &[]),
        ("NFC", &[]), ("NFD", &[]), ("NFKC", &[]), ("NFKD", &[]), ("Lowercase", &[]), ("Nmt", &[]), ("ByteLevel", &[]),
        ("Precompiled", &[("precompiled_charsmap", Read)]), ("Replace", REPLACE), ("Prepend", &[("prepend", Read)]),
    ] },
    Part { name: "pre_tokenizer", list: "pretokenizers", kinds: &[
        ("Sequence", &[("pretokenizers", Read)]), ("BertPreTokenizer", &[]), ("ByteLevel", BYTE_LEVEL),
        ("CharDelimiterSplit", &[("delimiter", Read)]), ("Metaspace", METASPACE), ("Whitespace", &[]), ("WhitespaceSplit", &[]),
        ("Split", &[("pattern", Read), ("behavior", Read), ("invert", Read)]), ("Punctuation", &[("behavior", Read)]),
        ("Digits", &[("individual_digits", Read)]), ("UnicodeScripts", &[]), ("FixedLength", &[("length", Read)]),
    ] },
    Part { name: "post_processor", list: "processors", kinds: &[
        ("Sequence", &[("processors", Read)]),
        ("RobertaProcessing", &[("sep", Read), ("cls", Read), ("trim_offsets", OFFSETS), ("add_prefix_space", OFFSETS)]),
        ("BertProcessing", &[("sep", Read), ("cls", Read)]),
        ("ByteLevel", &[("add_prefix_space", OFFSETS), ("trim_offsets", OFFSETS), ("use_regex", OFFSETS)]),
        ("TemplateProcessing", &[("single", Read), ("pair", Read), ("special_tokens", Read)]),
    ] },
    Part { name: "decoder", list: "decoders", kinds: &[
        ("Sequence", &[("decoders", Read)]), ("BPEDecoder", &[("suffix", Read)]),
        ("ByteLevel", &[("add_prefix_space", DECODING), ("trim_offsets", DECODING), ("use_regex", DECODING)]),
        ("WordPiece", &[("prefix", Read), ("cleanup", Read)]),
        ("Metaspace", &[
            ("replacement", Read), ("add_prefix_space", DECODING), ("split", DECODING), ("str_rep", DECODING),
            ("prepend_scheme", Harmless("is about the start of a text, whose space is kept here")),
        ]),
        ("Replace", REPLACE), ("Fuse", &[]), ("ByteFallback", &[]),
        ("Strip", &[("content", Read), ("start", Read), ("stop", Read)]),
    ] },
    Part { name: "model", list: "", kinds: &[
        ("BPE", &[
            ("vocab", Read), ("merges", Read), ("dropout", Refused("tokens would be drawn by lot")), ("unk_token", Read),
            ("continuing_subword_prefix", Read), ("end_of_word_suffix", Read), ("fuse_unk", Read), ("byte_fallback", Read),
            ("ignore_merges", Read),
        ]),
        ("Unigram", &[("vocab", Read), ("unk_id", Read), ("byte_fallback", Read)]),
        ("WordPiece", &[
            ("vocab", Read), ("unk_token", Read), ("continuing_subword_prefix", Read), ("max_input_chars_per_word", Read),
        ]),
        ("WordLevel", &[("vocab", Read), ("unk_token", Read)]),
    ] },
];

/// Checks the kind and the keys of a part, and of those in it.
///
/// # Errors
/// [`Error::Unsupported`] names what is not known, or refused.
pub(super) fn check(part: &Part, value: &Json) -> Result<()> {
    let name = part.name;
    let Json::Object(map) = value else {
        return match value {
            Json::Null => Ok(()),
            other => Err(Error::bad_file(format!(
                "{name} is {}, where an object is needed",
                short(&other.to_string())
            ))),
        };
    };
    let Some((kind, keys)) = part.kind(value) else {
        let kind = value["type"].as_str();
        let known: Vec<&str> = part.kinds.iter().map(|(known, _)| *known).collect();
        let kind = kind.map_or_else(|| value["type"].to_string(), short);
        return Err(unsupported(format!(
            "{name}.type is {kind}; known are {}",
            known.join(", ")
        )));
    };
    for (key, value) in map.iter().filter(|(key, _)| *key != "type") {
        let place = place(name, kind, key);
        match keys.iter().find(|(known, _)| known == key) {
            Some((_, Refused(why))) if is_set(value) => {
                let value: String = value.to_string().chars().take(60).collect();
                return Err(unsupported(format!("{place} is {value}; {why}")));
            }
            Some(_) => {}
            None => {
                return Err(unsupported(format!(
                    "{} is a key that is not known here; a newer version may run it",
                    short(&place)
                )));
            }
        }
    }
    let inner = map.get(part.list).and_then(Json::as_array);
    inner
        .into_iter()
        .flatten()
        .try_for_each(|one| check(part, one))
}

/// Keys of the `tokenizer.json` of a folder, each once, with what becomes of it; none where the model is a GGUF file.
pub(crate) fn uses(metadata: &Metadata) -> Vec<KeyUse> {
    let text = metadata.text(super::JSON).ok().flatten();
    let file: Option<Json> = text.and_then(|text| serde_json::from_str(text).ok());
    let Some(file) = file else {
        return Vec::new();
    };
    let mut all = BTreeMap::new();
    for part in PARTS {
        let value = match part.name {
            "" => &file,
            name => &file[name],
        };
        match value {
            Json::Array(each) => each.iter().for_each(|one| part.uses(one, &mut all)),
            one => part.uses(one, &mut all),
        }
    }
    let each = |(key, passed_over): (String, _)| {
        KeyUse::new(&format!("tokenizer.json: {key}"), passed_over)
    };
    all.into_iter().map(each).collect()
}

impl Part {
    /// The kind that `value` is of, and its keys.
    fn kind(&self, value: &Json) -> Option<&(&'static str, Keys)> {
        let kind = value["type"].as_str();
        let row = self.kinds.iter().find(|(known, _)| kind == Some(known));
        row.or(self.kinds.first().filter(|(known, _)| known.is_empty()))
    }

    /// Adds the keys of `value`, and of the parts in it, that are set.
    fn uses(&self, value: &Json, all: &mut BTreeMap<String, Option<&'static str>>) {
        let Some((kind, keys)) = self.kind(value) else {
            return;
        };
        for (key, how) in *keys {
            if value.get(key).is_some() {
                let passed_over = match how {
                    Harmless(why) => Some(*why),
                    Read | Refused(_) => None,
                };
                all.insert(place(self.name, kind, key), passed_over);
            }
        }
        let inner = value.get(self.list).and_then(Json::as_array);
        inner
            .into_iter()
            .flatten()
            .for_each(|one| self.uses(one, all));
    }
}

/// Key of a part of a kind, for people: `pre_tokenizer.Split.pattern`.
fn place(part: &str, kind: &str, key: &str) -> String {
    let names = [part, kind, key];
    let names = names.into_iter().filter(|name| !name.is_empty());
    names.collect::<Vec<_>>().join(".")
}

/// Something other than null, false and 0.
pub(super) fn is_set(value: &Json) -> bool {
    !(value.is_null() || *value == Json::Bool(false) || value.as_f64() == Some(0.0))
}

pub(super) fn unsupported(message: String) -> Error {
    Error::unsupported(Unsupported::Tokenizer, message)
}
