//! Small vocabularies.

use lantern_engine::{
    Tokenizer,
    file::{Metadata, Value},
};

/// A token that is no character, and its kind as GGUF numbers them.
pub type Mark<'a> = (&'a str, i64);

/// A vocabulary of the printable ASCII characters between marks, with these keys of `tokenizer.ggml`.
pub fn printable(before: &[Mark<'_>], after: &[Mark<'_>], keys: &[(&str, Value)]) -> Tokenizer {
    let characters = ('!'..='~')
        .chain(['Ġ', 'Ċ'])
        .map(|one| (one.to_string(), 1));
    let owned = |&(mark, kind): &Mark<'_>| (mark.to_owned(), kind);
    let all = before.iter().map(owned).chain(characters);
    let (tokens, kinds) = all.chain(after.iter().map(owned)).unzip();
    let mut metadata = Metadata::default();
    let mut set = |key: &str, value| metadata.0.insert(format!("tokenizer.ggml.{key}"), value);
    set("model", Value::Text("gpt2".to_owned()));
    set("pre", Value::Text("default".to_owned()));
    set("tokens", Value::Texts(tokens));
    set("token_type", Value::Integers(kinds));
    set("merges", Value::Texts(Vec::new()));
    for (key, value) in keys {
        set(key, value.clone());
    }
    Tokenizer::from_metadata(&metadata).unwrap()
}
