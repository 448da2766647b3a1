//! Grammars: what a text must be, as a JSON Schema, a regular expression or a grammar in Lark's form, and which tokens may
//! follow a text that is becoming one. The parsing is the crate `llguidance`'s. Knows tokens, but no tokenizer.

use std::sync::Arc;

use llguidance::{
    Matcher, ParserFactory,
    api::TopLevelGrammar,
    toktrie::{SimpleVob, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv},
};
use serde_json::{Value, json};

use super::constraint::{Constraint, Grammar, Next};
use crate::{Error, Result};

/// Grammars of one tokenizer's tokens; made once, for it knows all of them.
pub(super) struct Grammars(ParserFactory);

/// Names that a schema's parts are told by where there are several of them.
const LISTS: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
/// Names of maps from names to schemas.
const MAPS: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];
/// Names of schemas.
const ONES: [&str; 3] = ["items", "additionalProperties", "not"];

impl Grammars {
    /// Grammars of these tokens.
    ///
    /// # Errors
    /// [`Error::BadInput`] where no token ends a text.
    pub fn new(vocabulary: Words) -> Result<Grammars> {
        let env: TokEnv = Arc::new(Env::new(vocabulary)?);
        let factory = ParserFactory::new_simple(&env);
        let mut factory = factory.map_err(|error| failed(&error.to_string()))?;
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        Ok(Grammars(factory))
    }

    /// The tokens that may follow, for a text that is to be what a grammar says.
    ///
    /// # Errors
    /// [`Error::BadInput`] where the grammar is none, or asks for what cannot be expressed: the message has the place in it.
    pub fn constraint(&self, grammar: &Grammar) -> Result<Box<dyn Constraint>> {
        let matcher = match grammar {
            Grammar::JsonSchema(schema) => {
                let matcher = self.matcher(schema_grammar(schema.clone()));
                matcher.map_err(|error| {
                    let refused = self.refused_part(schema, schema, "#");
                    let (path, why) = refused.unwrap_or(("#".to_owned(), error.to_string()));
                    Error::BadInput(format!("JSON Schema, at {path}: {why}"))
                })?
            }
            Grammar::Regex(text) => {
                let matcher = self.matcher(TopLevelGrammar::from_regex(text));
                matcher.map_err(|error| Error::BadInput(format!("regular expression: {error}")))?
            }
            Grammar::Lark(text) => {
                let matcher = self.matcher(TopLevelGrammar::from_lark(text.clone()));
                matcher.map_err(|error| failed(&error.to_string()))?
            }
        };
        Ok(Box::new(Matching {
            matcher,
            allowed: SimpleVob::new(),
        }))
    }

    fn matcher(&self, grammar: TopLevelGrammar) -> anyhow::Result<Matcher> {
        let parser = self.0.create_parser(grammar)?;
        let matcher = Matcher::new(Ok(parser));
        match matcher.get_error() {
            Some(error) => Err(anyhow::anyhow!(error)),
            None => Ok(matcher),
        }
    }

    /// The deepest part of a schema that cannot be expressed by itself, as a JSON pointer, and why.
    fn refused_part(&self, root: &Value, part: &Value, path: &str) -> Option<(String, String)> {
        let mut inner = parts(part);
        let deeper =
            inner.find_map(|(at, value)| self.refused_part(root, value, &format!("{path}/{at}")));
        if deeper.is_some() {
            return deeper;
        }
        let mut alone = part.clone();
        if let (Some(alone), Some(root)) = (alone.as_object_mut(), root.as_object()) {
            for name in ["$defs", "definitions", "$schema"] {
                if let (Some(value), false) = (root.get(name), alone.contains_key(name)) {
                    alone.insert(name.to_owned(), value.clone());
                }
            }
        }
        let error = self.matcher(schema_grammar(alone)).err()?;
        Some((path.to_owned(), error.to_string()))
    }
}

/// The schemas within a schema, with the ends of their JSON pointers.
fn parts(schema: &Value) -> impl Iterator<Item = (String, &Value)> {
    let all = schema.as_object().into_iter().flatten();
    all.flat_map(|(name, value)| -> Vec<(String, &Value)> {
        let known = name.as_str();
        match value {
            Value::Array(values) if LISTS.contains(&known) => (0..values.len())
                .map(|at| format!("{name}/{at}"))
                .zip(values)
                .collect(),
            Value::Object(map) if MAPS.contains(&known) => map
                .iter()
                .map(|(key, value)| (format!("{name}/{}", escaped(key)), value))
                .collect(),
            Value::Object(_) if ONES.contains(&known) => vec![(name.clone(), value)],
            _ => vec![],
        }
    })
}

/// A name as JSON pointers have it.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A schema in which white space stands after commas and colons only, where it says nothing of that: a model that may write as
/// much as it likes of it sometimes never ends.
pub(super) fn with_tight_space(mut schema: Value) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.entry("x-guidance").or_insert(json!({
            "whitespace_flexible": false, "item_separator": ", ", "key_separator": ": ",
        }));
    }
    schema
}

fn schema_grammar(schema: Value) -> TopLevelGrammar {
    TopLevelGrammar::from_json_schema(with_tight_space(schema))
}

fn failed(message: &str) -> Error {
    Error::BadInput(format!("grammar: {message}"))
}

/// A text that is becoming what a grammar says.
struct Matching {
    matcher: Matcher,
    allowed: SimpleVob,
}

impl Constraint for Matching {
    fn next(&mut self) -> Result<Next<'_>> {
        if self.matcher.is_stopped() {
            return if self.matcher.stop_reason().is_ok() {
                Ok(Next::End)
            } else {
                Err(failed(&self.matcher.get_error().unwrap_or_default()))
            };
        }
        let forced = self.matcher.compute_ff_tokens();
        if !forced.is_empty() {
            return Ok(Next::Forced(forced));
        }
        let allowed = self.matcher.compute_mask();
        self.allowed = allowed.map_err(|error| failed(&error.to_string()))?;
        if self.allowed.is_zero() {
            return Ok(Next::End);
        }
        Ok(Next::Among(self.allowed.as_slice()))
    }

    fn accept(&mut self, token: u32) -> Result<()> {
        let accepted = self.matcher.consume_token(token);
        accepted.map_err(|error| failed(&error.to_string()))
    }
}

/// Tokens of a piece of a text.
type Encode = dyn Fn(&str) -> Vec<u32> + Send + Sync;

/// The tokens of a tokenizer, and text to tokens.
pub(super) struct Words {
    /// Bytes of each token.
    pub bytes: Vec<Vec<u8>>,
    /// Tokens that are no text.
    pub special: Vec<u32>,
    /// Tokens that end a text.
    pub ends: Vec<u32>,
    /// Tokens of a piece of a text.
    pub encode: Box<Encode>,
}

/// A tokenizer as the parser wants it: a tree of all tokens, and text to tokens.
struct Env {
    trie: TokTrie,
    encode: Box<Encode>,
    canonical: bool,
}

impl Env {
    fn new(mut words: Words) -> Result<Env> {
        let Some(&eos) = words.ends.first() else {
            return Err(failed(
                "the tokenizer has no token that ends a text, so that no text would end",
            ));
        };
        // Tokens that put a space before a text are not those of the same text further on.
        let probe = "{\"a";
        let tokens = (words.encode)(probe).into_iter();
        let bytes: Vec<u8> = tokens
            .flat_map(|token| words.bytes[token as usize].clone())
            .collect();
        let canonical = bytes == probe.as_bytes();
        for &token in &words.special {
            words.bytes[token as usize].insert(0, TokTrie::SPECIAL_TOKEN_MARKER);
        }
        let info = TokRxInfo::new(words.bytes.len() as u32, eos);
        let trie = TokTrie::from(&info, &words.bytes).with_eos_tokens(&words.ends);
        let encode = words.encode;
        Ok(Env {
            trie,
            encode,
            canonical,
        })
    }
}

impl TokenizerEnv for Env {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, text: &[u8]) -> Vec<TokenId> {
        self.trie.tokenize_with_greedy_fallback(text, &self.encode)
    }

    fn tokenize_is_canonical(&self) -> bool {
        self.canonical
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_schemas_have_their_paths() {
        let schema = json!({
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"anyOf": [{}, {"type": "null"}]}},
            "items": true,
        });
        let names: Vec<String> = parts(&schema).map(|(name, _)| name).collect();
        assert_eq!(names, ["properties/a", "properties/b"]);
        let inner = &schema["properties"]["b"];
        let names: Vec<String> = parts(inner).map(|(name, _)| name).collect();
        assert_eq!(names, ["anyOf/0", "anyOf/1"]);
    }
}
