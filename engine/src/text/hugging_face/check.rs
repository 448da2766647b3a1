//! Parts of `tokenizer.json` that are looked at before its crate sees it, which panics at some of what is wrong with them.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value as Json};
use tokenizers::normalizers::Precompiled;

use super::keys::{PARTS, check, unsupported};
use crate::{Error, Result, file::short};

/// A `tokenizer.json`.
#[derive(Deserialize)]
pub(super) struct File {
    #[serde(default)]
    added_tokens: Vec<Map<String, Json>>,
    model: Model,
    /// All its other keys.
    #[serde(flatten)]
    pub rest: Map<String, Json>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    vocab: Vocab,
    #[serde(default)]
    merges: Option<Vec<Merge>>,
    #[serde(flatten)]
    rest: Map<String, Json>,
}

/// Tokens' texts; none where it is a list, which no merges go with.
#[derive(Default)]
struct Vocab(HashSet<String>);

/// Two tokens that join; none where the line says nothing of the kind, as the first of old files.
struct Merge(Option<(String, String)>);

impl File {
    /// Reads the text, and checks what the crate does not.
    ///
    /// # Errors
    /// [`Error::BadFile`] and [`Error::Unsupported`] name the key.
    pub fn read(text: &str) -> Result<File> {
        let file: File = serde_json::from_str(text)
            .map_err(|error| Error::bad_file(format!("{error}; download it again")))?;
        for part in PARTS {
            match part.name {
                "" => check(part, &Json::Object(file.rest.clone()))?,
                "added_tokens" => {
                    for token in &file.added_tokens {
                        check(part, &Json::Object(token.clone()))?;
                    }
                }
                // Old files do not say the kind; the crate finds it by the keys.
                "model" if !file.model.rest.contains_key("type") => {}
                "model" => check(part, &Json::Object(file.model.rest.clone()))?,
                name => check(part, file.rest.get(name).unwrap_or(&Json::Null))?,
            }
        }
        file.model.check()?;
        file.each("normalizer", "normalizers", &mut normalizer)?;
        file.each("pre_tokenizer", "pretokenizers", &mut pre_tokenizer)?;
        file.each("post_processor", "processors", &mut post_processor)?;
        Ok(file)
    }

    /// Calls `visit` with a part, or with each in a sequence of them.
    fn each(
        &self,
        name: &str,
        list: &str,
        visit: &mut impl FnMut(&Json) -> Result<()>,
    ) -> Result<()> {
        self.rest
            .get(name)
            .map_or(Ok(()), |part| each(part, list, visit))
    }

    /// The token that the post-processor puts before a text.
    pub fn first_token(&self) -> Option<u32> {
        let mut first = None;
        let visited = self.each("post_processor", "processors", &mut |step| {
            let name = step["single"][0]["SpecialToken"]["id"].as_str();
            let id = name.and_then(|name| step["special_tokens"][name]["ids"][0].as_u64());
            first = first.or(id.and_then(|id| u32::try_from(id).ok()));
            Ok(())
        });
        visited.ok().and(first)
    }
}

fn each(part: &Json, list: &str, visit: &mut impl FnMut(&Json) -> Result<()>) -> Result<()> {
    match part[list].as_array() {
        Some(steps) => steps.iter().try_for_each(|step| each(step, list, visit)),
        None => visit(part),
    }
}

impl Model {
    /// Refuses merges that the crate would look up beyond its tables.
    fn check(&self) -> Result<()> {
        let prefix = self.rest.get("continuing_subword_prefix");
        let prefix = prefix.and_then(Json::as_str).unwrap_or("").len();
        let merges = self.merges.iter().flatten();
        for (left, right) in merges.filter_map(|merge| merge.0.as_ref()) {
            let joined = right.get(prefix..).map(|rest| format!("{left}{rest}"));
            let joined = joined.ok_or_else(|| {
                Error::bad_file(format!(
                    "model.merges joins {}, which is shorter than continuing_subword_prefix",
                    short(right)
                ))
            })?;
            for token in [left, right, &joined] {
                if !self.vocab.0.contains(token) {
                    return Err(Error::bad_file(format!(
                        "model.merges needs {}, which is no token",
                        short(token)
                    )));
                }
            }
        }
        Ok(())
    }
}

fn normalizer(step: &Json) -> Result<()> {
    if step["type"] != "Precompiled" {
        return Ok(());
    }
    let text = step.to_string(); // it borrows, which it cannot from a value
    serde_json::from_str::<Precompiled>(&text)
        .map(drop)
        .map_err(|error| Error::bad_file(format!("normalizer.Precompiled: {error}")))
}

fn pre_tokenizer(step: &Json) -> Result<()> {
    if step["type"] == "FixedLength" && step["length"] == 0 {
        return Err(Error::bad_file(
            "pre_tokenizer.FixedLength.length is 0, where a number above 0 is needed",
        ));
    }
    Ok(())
}

fn post_processor(step: &Json) -> Result<()> {
    let special: HashMap<&str, &Json> = step["special_tokens"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, token)| (name.as_str(), token))
        .collect();
    for template in ["single", "pair"] {
        let key = format!("post_processor.TemplateProcessing.{template}");
        for piece in step[template].as_array().into_iter().flatten() {
            if template == "single" && piece["Sequence"]["id"] == "B" {
                return Err(unsupported(format!("{key} has a second text (B)")));
            }
            let Some(name) = piece["SpecialToken"]["id"].as_str() else {
                continue;
            };
            let counts = special.get(name).map(|token| {
                let count = |key: &str| token[key].as_array().map_or(0, Vec::len);
                (count("ids"), count("tokens"))
            });
            if counts.is_none_or(|(ids, tokens)| ids != tokens) {
                return Err(Error::bad_file(format!(
                    "{key} has {}, which special_tokens does not say the ids of",
                    short(name)
                )));
            }
        }
    }
    Ok(())
}

impl<'de> Deserialize<'de> for Vocab {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Vocab::default())
    }
}

impl<'de> Visitor<'de> for Vocab {
    type Value = Vocab;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tokens with their ids")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> std::result::Result<Self, A::Error> {
        while let Some((text, _)) = map.next_entry::<String, u32>()? {
            self.0.insert(text);
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
        deserializer.deserialize_any(Merge(None))
    }
}

impl<'de> Visitor<'de> for Merge {
    type Value = Merge;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a merge: two tokens, with a space between or as a list")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Self, E> {
        if text.starts_with("#version") {
            return Ok(Merge(None));
        }
        let pair = text
            .split_once(' ')
            .filter(|(_, right)| !right.contains(' '));
        let (left, right) = pair.ok_or_else(|| {
            E::custom(format!(
                "merges has {}, which is not two tokens",
                short(text)
            ))
        })?;
        Ok(Merge(Some((left.to_owned(), right.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Self, A::Error> {
        let mut next = || seq.next_element::<String>();
        match (next()?, next()?, next()?) {
            (Some(left), Some(right), None) => Ok(Merge(Some((left, right)))),
            _ => Err(serde::de::Error::custom(
                "a merge that is not of two tokens",
            )),
        }
    }
}
