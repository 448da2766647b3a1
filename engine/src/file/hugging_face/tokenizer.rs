//! `tokenizer.json`, and what the files beside it say of special tokens and chat, as metadata of our own: the text as it is, and the
//! tokens that `transformers` adds to it. Source: `PreTrainedTokenizerBase._from_pretrained` and `TokenizersBackend.__init__` of
//! transformers 5. What the text means is `text::hugging_face`'s business.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::{
    super::{KeyUse, Value},
    json::{Folder, Object, Settings},
    settings::{KeyRole, TOKENIZER_SETTINGS},
};
use crate::{Error, Result, Unsupported};

/// The longest `tokenizer.json` that is read, bytes. Vocabularies of 262 thousand tokens take 33 MB.
const BYTES_MAX: u64 = 96 << 20;

const SETTINGS: &str = "tokenizer_config.json";
pub(super) const SPECIAL: &str = "special_tokens_map.json";

/// Key of the settings that lists all added tokens, where it is there.
const ADDED: &str = "added_tokens_decoder";

/// Names of the special tokens that every tokenizer may have, in the order in which they are added.
const NAMED: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

pub(super) type Entries = BTreeMap<String, Value>;

/// Parts of `tokenizer.json` that other files add to.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Map<String, Json>>,
    #[serde(default)]
    padding: Json,
}

/// A token that is found in texts as it is written.
#[derive(Clone, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the flags are the file's")]
struct Token {
    content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    /// None: unless it is special.
    normalized: Option<bool>,
    special: bool,
}

/// Special tokens by name, and those without one.
#[derive(Default)]
struct Special {
    named: Vec<(String, Token)>,
    others: Vec<Token>,
}

/// The metadata of a folder's tokenizer; those of none where there is no `tokenizer.json`. `rows`: tokens that the model
/// has an embedding for.
pub(super) fn read(folder: &Folder, settings: &Settings, rows: u64) -> Result<Entries> {
    let name = "tokenizer.json";
    let Some(bytes) = folder.bytes(name, BYTES_MAX)? else {
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
    let label = folder.label(name);
    let mut text = String::from_utf8(bytes)
        .map_err(|_| Error::bad_file("it is not UTF-8; download it again").in_file(&label))?;
    if text.starts_with('\u{feff}') {
        text.remove(0); // a UTF-8 mark, as editors put it
    }
    let file: File = serde_json::from_str(&text)
        .map_err(|error| Error::bad_file(format!("{error}; download it again")).in_file(&label))?;
    settings.tokenizer.refuse(TOKENIZER_SETTINGS)?;
    let mut entries = Entries::new();
    let mut set = |key: &str, value| entries.insert(format!("lantern.tokenizer.{key}"), value);
    let (special, added) = added(folder, &file, settings, &label)?;
    set("added", Value::Text(json!(added).to_string()));
    let all = special.named.iter();
    let all: Map<String, Json> = all
        .map(|(name, token)| (name.clone(), json!(token.content)))
        .collect();
    set("named", Value::Text(json!(all).to_string()));
    let splits = settings.tokenizer.boolean("split_special_tokens")?;
    let splits = splits.unwrap_or(false);
    set("split_special_tokens", Value::Bool(splits));
    set("rows", Value::Unsigned(rows.min(u32::MAX.into())));
    set("ends", Value::Integers(ends(settings)?));
    set("file", Value::Text(label));
    set("json", Value::Text(text));
    entries.extend(templates(folder, &settings.tokenizer)?);
    Ok(entries)
}

/// `tokenizer_config.json`; one without keys where it is missing.
pub(super) fn settings(folder: &Folder) -> Result<Object> {
    let there = folder.object(SETTINGS)?;
    Ok(there.unwrap_or_else(|| Object {
        label: folder.label(SETTINGS),
        map: Map::new(),
    }))
}

/// Keys of `tokenizer_config.json` and `special_tokens_map.json`, and how each is used.
pub(super) fn uses(settings: &Settings) -> Vec<KeyUse> {
    let in_map = settings.special.iter().flat_map(|map| map.map.keys());
    let in_map = in_map.map(|key| {
        let whole = settings.tokenizer.map.contains_key(ADDED);
        let passed_over = whole.then_some("tokenizer_config.json has the special tokens");
        KeyUse::new(&format!("{SPECIAL}: {key}"), passed_over)
    });
    let each = |key: &String| {
        let known = TOKENIZER_SETTINGS.iter().find(|(name, _)| name == key);
        let passed_over = match known {
            Some((_, KeyRole::Harmless(why))) => Some(*why),
            None if !key.ends_with("_token") => Some("transformers does nothing with it"),
            _ => None,
        };
        KeyUse::new(&format!("{SETTINGS}: {key}"), passed_over)
    };
    let own = settings.tokenizer.map.keys().map(each);
    own.chain(in_map).collect()
}

/// Ids of the tokens that end a text.
fn ends(settings: &Settings) -> Result<Vec<i64>> {
    let mut ends = settings.config.ids("eos_token_id")?;
    if let Some(generation) = &settings.generation {
        ends.extend(generation.ids("eos_token_id")?);
    }
    let number = |id| i64::try_from(id).unwrap_or(i64::MAX);
    Ok(ends.into_iter().map(number).collect())
}

/// The special tokens, and all tokens that are added to those of `tokenizer.json`, in their order. One that it has already takes the
/// flags that it has here.
fn added(
    folder: &Folder,
    file: &File,
    given: &Settings,
    label: &str,
) -> Result<(Special, Vec<Token>)> {
    let mut settings = Object {
        label: given.tokenizer.label.clone(),
        map: given.tokenizer.map.clone(),
    };
    let mut known: BTreeMap<u64, Token> = BTreeMap::new();
    let whole = settings.map.contains_key(ADDED);
    if whole {
        let decoder = settings.object(ADDED)?;
        for (id, value) in decoder.iter().flat_map(|decoder| &decoder.map) {
            let id = id
                .parse()
                .map_err(|_| settings.wrong(ADDED, "an object with ids for keys"))?;
            known.insert(id, Token::of(value, false, &settings, ADDED)?);
        }
    } else if let Some(map) = &given.special {
        settings.map.extend(map.map.clone()); // which win
    }
    let mut special = Special::of(&settings, file)?;
    if !whole {
        known = listed(folder, file, &special, label)?;
    }
    for (_, token) in &mut special.named {
        let same = known.values().find(|known| known.content == token.content);
        *token = same.cloned().unwrap_or_else(|| token.clone());
    }
    let mut all: Vec<Token> = known.into_values().collect();
    let there = |content: &str, all: &[Token]| {
        let own =
            |token: &Map<String, Json>| token.get("content").is_some_and(|own| own == content);
        all.iter().any(|token| token.content == content) || file.added_tokens.iter().any(own)
    };
    let named = special.named.iter().map(|(_, token)| token);
    for token in named.chain(&special.others) {
        if !there(&token.content, &all) {
            all.push(token.clone());
        }
    }
    for token in &mut all {
        token.special |= special
            .named
            .iter()
            .any(|(_, named)| named.content == token.content);
        token.normalized.get_or_insert(!token.special);
    }
    Ok((special, all))
}

/// The tokens of `added_tokens.json` and `tokenizer.json` by their ids; the second wins.
fn listed(
    folder: &Folder,
    file: &File,
    special: &Special,
    label: &str,
) -> Result<BTreeMap<u64, Token>> {
    let mut known = BTreeMap::new();
    if let Some(old) = folder.object("added_tokens.json")? {
        for (content, id) in &old.map {
            let id = id.as_u64().ok_or_else(|| old.wrong(content, "an id"))?;
            known.insert(id, Token::special(content, special.has(content)));
        }
    }
    for map in &file.added_tokens {
        let (label, map) = (label.to_owned(), map.clone());
        let value = Json::Object(map.clone());
        let place = Object { label, map };
        let id = place.whole("id")?;
        let id = id.ok_or_else(|| place.wrong("id", "an id"))?;
        known.insert(id, Token::of(&value, false, &place, "added_tokens")?);
    }
    Ok(known)
}

impl Special {
    fn of(settings: &Object, file: &File) -> Result<Special> {
        let mut special = Special::default();
        for name in NAMED {
            if let Some(value) = settings.get(name) {
                special.name(name, value, settings)?;
            } else if name == "pad_token" && !settings.map.contains_key(name) {
                // What is padded with is a special token, though nothing is.
                let text = file.padding["pad_token"].as_str();
                special
                    .named
                    .extend(text.map(|text| (name.to_owned(), Token::special(text, true))));
            }
        }
        for (name, value) in &settings.map {
            let text = value.is_string() || value["__type"] == "AddedToken";
            let text = text && !["add_bos_token", "add_eos_token"].contains(&name.as_str());
            if name.ends_with("_token") && text && !NAMED.contains(&name.as_str()) {
                special.name(name, value, settings)?;
            }
        }
        let key = ["extra_special_tokens", "additional_special_tokens"];
        let key = key.into_iter().find(|key| settings.get(key).is_some());
        for key in key.into_iter().chain(["model_specific_special_tokens"]) {
            match settings.get(key) {
                None => {}
                Some(Json::Array(all)) => {
                    for value in all {
                        special.others.push(Token::of(value, true, settings, key)?);
                    }
                }
                Some(Json::Object(all)) => {
                    for (name, value) in all {
                        special.name(name, value, settings)?;
                    }
                }
                Some(_) => return Err(settings.wrong(key, "a list or an object of tokens")),
            }
        }
        Ok(special)
    }

    fn name(&mut self, name: &str, value: &Json, settings: &Object) -> Result<()> {
        let token = Token::of(value, true, settings, name)?;
        self.named.retain(|(other, _)| other != name);
        self.named.push((name.to_owned(), token));
        Ok(())
    }

    fn has(&self, content: &str) -> bool {
        let named = self.named.iter().map(|(_, token)| token);
        named
            .chain(&self.others)
            .any(|token| token.content == content)
    }
}

impl Token {
    /// A token without further flags.
    fn special(content: &str, special: bool) -> Token {
        Token {
            content: content.to_owned(),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: None,
            special,
        }
    }

    /// Reads a token: its text, or an object that has it. `special`: that is what it is by default.
    fn of(value: &Json, special: bool, place: &Object, key: &str) -> Result<Token> {
        if let Json::String(content) = value {
            return Ok(Token::special(content, special));
        }
        let Json::Object(map) = value else {
            return Err(place.wrong(key, "a text or a token"));
        };
        let token = Object {
            label: format!("{}: {key}", place.label),
            map: map.clone(),
        };
        let content = token.text("content")?;
        let content = content.ok_or_else(|| token.wrong("content", "a text"))?;
        let named = special && value["__type"] != "AddedToken";
        let special = token.boolean("special")?.unwrap_or(named);
        let flag = |name: &str| Ok::<_, Error>(token.boolean(name)?.unwrap_or(false));
        Ok(Token {
            content: content.to_owned(),
            single_word: flag("single_word")?,
            lstrip: flag("lstrip")?,
            rstrip: flag("rstrip")?,
            normalized: token.boolean("normalized")?,
            special,
        })
    }
}

/// Chat templates under the keys that GGUF has for them: those in files of their own, else those of `tokenizer_config.json`, which has
/// one or a list of named ones.
fn templates(folder: &Folder, about: &Object) -> Result<Vec<(String, Value)>> {
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
