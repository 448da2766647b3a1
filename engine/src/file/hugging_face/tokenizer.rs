//! `tokenizer.json`, and what the files beside it say of special tokens and chat, as GGUF's metadata: byte-level byte pairs
//! (`gpt2`), and byte pairs of characters with spaces as `▁` (`llama`). Source: what the `tokenizers` crate does with such
//! a file. Of normalisation to NFC nothing is kept, as in GGUF.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value as Json;

use super::{
    super::Value,
    json::{Folder, Object},
    pieces,
};
use crate::{Error, Result, Unsupported, file::short};

/// The longest `tokenizer.json` that is read, bytes. Vocabularies of 262 thousand tokens take 33 MB.
const BYTES_MAX: u64 = 96 << 20;

/// GGUF's numbers of what tokens are for.
const NORMAL: i64 = 1;
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const UNUSED: i64 = 5;
const BYTE: i64 = 6;

type Entries = BTreeMap<String, Value>;

/// Parts of `tokenizer.json` that are read.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    normalizer: Json,
    #[serde(default)]
    pre_tokenizer: Json,
    #[serde(default)]
    post_processor: Json,
    model: Model,
}

/// A token that is found in texts as it is written.
#[derive(Deserialize)]
struct Added {
    id: u64,
    content: String,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    rstrip: bool,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    vocab: Vocabulary,
    #[serde(default)]
    merges: Vec<Merge>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
}

/// The metadata of a folder's tokenizer; those of none where there is no `tokenizer.json`. `rows`: tokens that the model
/// has an embedding for.
pub(super) fn read(folder: &Folder, config: &Object, rows: u64) -> Result<Entries> {
    let Some(file) = folder.json::<File>("tokenizer.json", BYTES_MAX)? else {
        if folder.has("tokenizer.model") {
            return Err(Error::unsupported(
                Unsupported::Tokenizer,
                format!(
                    "{} has a tokenizer.model, but no tokenizer.json, which is what is read here: AutoTokenizer's save_pretrained writes one",
                    folder.0.display()
                ),
            ));
        }
        let none = Value::Text("none".to_owned());
        return Ok([("tokenizer.ggml.model".to_owned(), none)].into());
    };
    let label = folder.label("tokenizer.json");
    let named = |error: Error| error.in_file(&label);
    let mut entries = Entries::new();
    let texts = file.vocabulary(rows, &mut entries).map_err(named)?;
    let first = first_token(&file.post_processor);
    roles(folder, config, &texts, first, &mut entries)?;
    file.method(&mut entries).map_err(named)?;
    let texts = Value::Texts(texts);
    entries.insert("tokenizer.ggml.tokens".into(), texts);
    Ok(entries)
}

impl File {
    /// The tokens' texts, and entries of what they are for.
    fn vocabulary(&self, rows: u64, entries: &mut Entries) -> Result<Vec<String>> {
        let fits = |id: u64| id < rows;
        let added = self.added_tokens.iter().filter(|token| fits(token.id)); // what images stand for may be beyond
        let ids = self.model.vocab.0.iter().map(|(_, id)| *id);
        let count = ids.chain(added.clone().map(|token| token.id)).max();
        let count = count.map_or(0, |last| last.saturating_add(1));
        if count > rows {
            return Err(Error::bad_file(format!(
                "there is a token {}, but the model's embedding has {rows} rows: they are of different models",
                count - 1
            )));
        }
        let mut tokens: Vec<Option<(&str, i64)>> = vec![None; count as usize];
        for (text, id) in &self.model.vocab.0 {
            let place = &mut tokens[*id as usize];
            if let Some((other, _)) = place {
                let (other, text) = (short(other), short(text));
                return Err(Error::bad_file(format!(
                    "tokens {other} and {text} are both {id}"
                )));
            }
            *place = Some((text, self.kind(text)));
        }
        let spaced = self.model.byte_fallback;
        for token in added.clone() {
            let kind = match () {
                () if self.model.unk_token.as_ref() == Some(&token.content) => UNKNOWN,
                () if token.special => CONTROL,
                // Looked for in the text as it is, which has no such letter.
                () if spaced && token.content.contains('▁') && !token.normalized => NORMAL,
                () => USER_DEFINED,
            };
            tokens[token.id as usize] = Some((&token.content, kind));
        }
        let kinds = tokens
            .iter()
            .map(|token| token.map_or(UNUSED, |(_, kind)| kind));
        let kinds = Value::Integers(kinds.collect());
        entries.insert("tokenizer.ggml.token_type".into(), kinds);
        let swallow = added
            .filter(|token| token.rstrip)
            .map(|token| token.id as i64);
        let swallow = Value::Integers(swallow.collect());
        entries.insert("lantern.tokenizer.rstrip".into(), swallow);
        let text = |(id, token): (usize, &Option<(&str, i64)>)| match token {
            Some((text, USER_DEFINED)) if spaced => text.replace('▁', " "),
            Some((text, _)) => (*text).to_owned(),
            None => format!("[PAD{id}]"),
        };
        Ok(tokens.iter().enumerate().map(text).collect())
    }

    /// Type of a token of the model, as in `tokenizer.ggml.token_type`.
    fn kind(&self, text: &str) -> i64 {
        let is_byte = || {
            let digits = text.strip_prefix("<0x").and_then(|t| t.strip_suffix('>'));
            digits.is_some_and(|d| d.len() == 2 && d.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        if self.model.unk_token.as_deref() == Some(text) {
            UNKNOWN
        } else if self.model.byte_fallback && is_byte() {
            BYTE
        } else {
            NORMAL
        }
    }

    /// Entries of how texts are cut.
    fn method(self, entries: &mut Entries) -> Result<()> {
        let model = self.model;
        let kind = model.kind.as_deref().unwrap_or("BPE");
        if kind != "BPE" {
            return Err(Error::unsupported(
                Unsupported::Tokenizer,
                format!(
                    "a tokenizer of the kind {}; of tokenizer.json, only BPE is run here",
                    short(kind)
                ),
            ));
        }
        for (name, there) in [
            (
                "continuing_subword_prefix",
                &model.continuing_subword_prefix,
            ),
            ("end_of_word_suffix", &model.end_of_word_suffix),
        ] {
            if let Some(text) = there.as_ref().filter(|text| !text.is_empty()) {
                let text = short(text);
                return Err(Error::unsupported(
                    Unsupported::Tokenizer,
                    format!("{name} is {text}; tokenizers are run here without it"),
                ));
            }
        }
        let text = |text: &str| Value::Text(text.to_owned());
        let merges = if pieces::is_byte_level(&self.pre_tokenizer) {
            let patterns = pieces::patterns(&self.normalizer, &self.pre_tokenizer)?;
            entries.insert("tokenizer.ggml.model".into(), text("gpt2"));
            entries.insert("lantern.tokenizer.patterns".into(), Value::Texts(patterns));
            let whole = Value::Bool(model.ignore_merges);
            entries.insert("lantern.tokenizer.whole_words".into(), whole);
            "tokenizer.ggml.merges"
        } else if model.byte_fallback && !model.ignore_merges {
            entries.insert("tokenizer.ggml.model".into(), text("llama"));
            entries.extend(pieces::spaces(&self.normalizer, &self.pre_tokenizer)?);
            "lantern.tokenizer.merges"
        } else {
            return Err(Error::unsupported(
                Unsupported::Tokenizer,
                "neither a byte-level tokenizer nor one that falls back to bytes",
            ));
        };
        let lines = model.merges.into_iter().map(|Merge(line)| line).collect();
        entries.insert(merges.into(), Value::Texts(lines));
        Ok(())
    }
}

/// Entries of which tokens begin and end a text, and of the chat template. `first`: what is put before every text.
fn roles(
    folder: &Folder,
    config: &Object,
    texts: &[String],
    first: Option<&str>,
    entries: &mut Entries,
) -> Result<()> {
    let about = folder.object("tokenizer_config.json")?;
    let id = |text: &str| texts.iter().position(|t| t == text).map(|id| id as u64);
    let named = |key: &str| {
        let text = about.as_ref().map_or(Ok(None), |about| token(about, key));
        text.map(|text| text.as_deref().and_then(id))
    };
    let said = |key: &str| about.as_ref().map_or(Ok(None), |about| about.boolean(key));
    let bos = match first {
        Some(first) => id(first),
        None => named("bos_token")?,
    };
    let generation = folder.object("generation_config.json")?;
    let mut ends = config.ids("eos_token_id")?;
    if let Some(generation) = &generation {
        ends.extend(generation.ids("eos_token_id")?);
    }
    let eos = named("eos_token")?.or(ends.first().copied());
    let unknown = named("unk_token")?;
    for (key, id) in [("bos", bos), ("eos", eos), ("unknown", unknown)] {
        let key = format!("tokenizer.ggml.{key}_token_id");
        entries.extend(id.map(|id| (key, Value::Unsigned(id))));
    }
    let ends = ends.iter().map(|&id| i64::try_from(id).unwrap_or(i64::MAX));
    entries.insert(
        "lantern.tokenizer.ends".into(),
        Value::Integers(ends.collect()),
    );
    let add_bos = said("add_bos_token")?.unwrap_or(first.is_some()) && bos.is_some();
    let add_eos = said("add_eos_token")?.unwrap_or(false) && eos.is_some();
    entries.insert("tokenizer.ggml.add_bos_token".into(), Value::Bool(add_bos));
    entries.insert("tokenizer.ggml.add_eos_token".into(), Value::Bool(add_eos));

    entries.extend(templates(folder, about.as_ref())?);
    Ok(())
}

/// A token of `tokenizer_config.json`: its text, or an object that has it.
fn token(about: &Object, key: &str) -> Result<Option<String>> {
    match about.get(key) {
        Some(Json::Object(_)) => {
            let token = about.object(key)?;
            let content = token
                .as_ref()
                .map_or(Ok(None), |token| token.text("content"));
            Ok(content?.map(str::to_owned))
        }
        _ => Ok(about.text(key)?.map(str::to_owned)),
    }
}

/// Chat templates under the keys that GGUF has for them: those in files of their own, else those of `tokenizer_config.json`, which has
/// one or a list of named ones.
fn templates(folder: &Folder, about: Option<&Object>) -> Result<Vec<(String, Value)>> {
    const KEY: &str = "tokenizer.chat_template";
    let own = folder.text("chat_template.jinja")?;
    let tool_use = folder.text("additional_chat_templates/tool_use.jinja")?;
    if own.is_some() || tool_use.is_some() {
        let named = [(KEY.to_owned(), own), (format!("{KEY}.tool_use"), tool_use)];
        let named = named.into_iter();
        return Ok(named
            .filter_map(|(key, text)| Some((key, Value::Text(text?))))
            .collect());
    }
    let Some(about) = about else {
        return Ok(Vec::new());
    };
    let Some(Json::Array(several)) = about.get("chat_template") else {
        let text = about.text("chat_template")?.map(str::to_owned);
        return Ok(text
            .map(|text| (KEY.to_owned(), Value::Text(text)))
            .into_iter()
            .collect());
    };
    let mut entries = Vec::new();
    let mut names = Vec::new();
    for one in several {
        let (Some(name), Some(text)) = (one["name"].as_str(), one["template"].as_str()) else {
            let message = format!(
                "{}: chat_template has one without a name or a text",
                about.label
            );
            return Err(Error::bad_file(message));
        };
        let key = match name {
            "default" => KEY.to_owned(),
            _ => format!("{KEY}.{name}"),
        };
        entries.push((key, Value::Text(text.to_owned())));
        names.push(name.to_owned());
    }
    entries.push(("tokenizer.chat_templates".to_owned(), Value::Texts(names)));
    Ok(entries)
}

/// The special token that a post-processor puts before a text.
fn first_token(processor: &Json) -> Option<&str> {
    match processor["type"].as_str()? {
        "TemplateProcessing" => processor["single"][0]["SpecialToken"]["id"].as_str(),
        "Sequence" => processor["processors"]
            .as_array()?
            .iter()
            .find_map(first_token),
        _ => None,
    }
}

/// Tokens with their ids, in the file's order; none where it has something else, which the kind of tokenizer tells.
struct Vocabulary(Vec<(String, u64)>);

/// Two tokens that join, as GGUF writes them: with a space between.
struct Merge(String);

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Vocabulary(Vec::new()))
    }
}

impl<'de> Visitor<'de> for Vocabulary {
    type Value = Vocabulary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tokens with their ids")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> std::result::Result<Self, A::Error> {
        while let Some(entry) = map.next_entry()? {
            self.0.push(entry);
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Self, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self)
    }
}

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Merge(String::new()))
    }
}

impl<'de> Visitor<'de> for Merge {
    type Value = Merge;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a merge: two tokens, with a space between or as a list")
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Self, E> {
        Ok(Merge(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Self, A::Error> {
        let mut next = || seq.next_element::<String>();
        match (next()?, next()?, next()?) {
            (Some(left), Some(right), None) => Ok(Merge(format!("{left} {right}"))),
            _ => Err(serde::de::Error::custom(
                "a merge that is not of two tokens",
            )),
        }
    }
}
