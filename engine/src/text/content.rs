//! Keeps what is said apart from what steers: texts of control tokens that stand in messages are found again in the rendered
//! prompt, so that they can stay text. The template sees the messages as they are wherever it prints the same without help.

use std::ops::Range;

use serde_json::Value;

use super::{ChatTemplate, Tokenizer};
use crate::{Error, Result};

/// Candidates for characters that mark a place: rare Han letters, which templates neither escape nor change the case of.
const LETTERS: Range<u32> = 0x2_0000..0x2_A6D0;

/// Names that are the tokenizer's own words, and no content.
const TOKENS: [&str; 2] = ["bos_token", "eos_token"];

/// The prompt, and the places in it where the text of a control token came from `input`.
///
/// The marks in `input` are put between two letters that are nowhere else, and these are taken out of what is rendered. Where
/// that is not what the plain input gives (a template compared a message, or counted in it), marks are broken in two instead:
/// the template then does not know them, and they are text to it, too.
pub(super) fn rendered(
    template: &ChatTemplate,
    input: &Value,
    tokenizer: &Tokenizer,
) -> Result<(String, Vec<Range<usize>>)> {
    let plain = template.render(input)?;
    let marks = |text: &str| tokenizer.control_marks(text);
    let (mut used, mut any) = (plain.clone(), false);
    change(input, &mut |text| {
        used.push_str(text);
        any |= !marks(text).is_empty();
        String::new()
    });
    if !any {
        return Ok((plain, Vec::new()));
    }
    let [Some(open), Some(close)] = free_letters(&used) else {
        let problem = "the messages have every Han letter there is beside texts of control tokens";
        return Err(Error::BadInput(problem.to_owned()));
    };
    let between = change(input, &mut |text| {
        let marks = marks(text);
        let sides = marks.iter().flat_map(|m| [(m.start, open), (m.end, close)]);
        insert(text, sides)
    });
    if let Ok(found) = template.render(&between) {
        let (prompt, places) = take_out(&found, [open, close]);
        if prompt == plain {
            let closed = places
                .windows(2)
                .filter(|pair| pair[0].1 == open && pair[1].1 == close);
            return Ok((prompt, closed.map(|pair| pair[0].0..pair[1].0).collect()));
        }
    }
    let broken = change(input, &mut |text| {
        let marks = marks(text).into_iter();
        let second = |from: usize| from + text[from..].chars().next().map_or(0, char::len_utf8);
        insert(text, marks.map(|m| (second(m.start), open)))
    });
    let (prompt, places) = take_out(&template.render(&broken)?, [open, close]);
    Ok((prompt, places.into_iter().map(|(at, _)| at..at).collect()))
}

/// `input` with every text in it changed, but for the names of tokens.
fn change(input: &Value, how: &mut dyn FnMut(&str) -> String) -> Value {
    match input {
        Value::String(text) => Value::String(how(text)),
        Value::Array(items) => items.iter().map(|item| change(item, how)).collect(),
        Value::Object(object) => {
            let field = |(name, value): (&String, &Value)| {
                let kept = TOKENS.contains(&name.as_str());
                let value = if kept {
                    value.clone()
                } else {
                    change(value, how)
                };
                (name.clone(), value)
            };
            object.iter().map(field).collect()
        }
        other => other.clone(),
    }
}

/// The first two letters of [`LETTERS`] that are not in `text`.
fn free_letters(text: &str) -> [Option<char>; 2] {
    let mut free = LETTERS
        .filter_map(char::from_u32)
        .filter(|c| !text.contains(*c));
    [free.next(), free.next()]
}

/// `text` with letters at places, which are in order.
fn insert(text: &str, letters: impl Iterator<Item = (usize, char)>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, letter) in letters {
        out.push_str(&text[from..at]);
        out.push(letter);
        from = at;
    }
    out + &text[from..]
}

/// `text` without the letters, and where each was.
fn take_out(text: &str, letters: [char; 2]) -> (String, Vec<(usize, char)>) {
    let mut out = String::with_capacity(text.len());
    let mut places = Vec::new();
    for c in text.chars() {
        if letters.contains(&c) {
            places.push((out.len(), c));
        } else {
            out.push(c);
        }
    }
    (out, places)
}
