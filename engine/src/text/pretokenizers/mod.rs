//! How each kind of byte-pair vocabulary cuts a text into words before anything is joined: the machine that follows a row of the
//! table. Words never join across the cuts.

mod table;

use std::ops::Range;

use regex_automata::{Input, meta::Regex};

use self::table::{After, RULES, Stage};
pub(super) use self::table::{BERT, Rule, Spelling, Whole};
use crate::file::short;
use crate::{Error, Result, Unsupported};

/// The row of `name`.
pub(super) fn rule_for(name: &str) -> Result<&'static Rule> {
    let known = RULES.iter().find(|rule| rule.names.contains(&name));
    known.ok_or_else(|| {
        Error::unsupported(
            Unsupported::Tokenizer,
            format!(
                "the file's pre-tokenizer (tokenizer.ggml.pre) is {}, which is not known here",
                short(name)
            ),
        )
    })
}

/// A rule, ready to cut.
#[derive(Debug)]
pub(super) struct Cutter {
    stages: Vec<(Regex, After)>,
}

impl Cutter {
    /// Compiles the patterns of `rule`.
    pub fn new(rule: &Rule) -> Result<Cutter> {
        let compile = |stage: &Stage| {
            let regex = match stage.after {
                After::Spaces => Regex::new_many(&[stage.pattern, Stage::SPACES.0]),
                After::Match | After::Thousands => Regex::new(stage.pattern),
            };
            let regex = regex.map_err(|error| {
                Error::unsupported(Unsupported::Tokenizer, format!("pre-tokenizer: {error}"))
            })?;
            Ok((regex, stage.after))
        };
        let stages = rule.stages.iter().map(compile).collect::<Result<_>>()?;
        Ok(Cutter { stages })
    }

    /// Where the words of `text` are: they follow each other without gaps.
    pub fn cut(&self, text: &str) -> Vec<Range<usize>> {
        let mut words: Vec<Range<usize>> = std::iter::once(0..text.len()).collect();
        for (stage, after) in &self.stages {
            let mut finer = Vec::with_capacity(words.len());
            for word in words {
                cut_word(stage, *after, text, word, &mut finer);
            }
            words = finer;
        }
        words
    }
}

/// One stage on one word. The pattern sees nothing outside the word.
fn cut_word(
    stage: &Regex,
    after: After,
    text: &str,
    word: Range<usize>,
    finer: &mut Vec<Range<usize>>,
) {
    let (text, offset) = (&text[word.clone()], word.start);
    let mut done = 0;
    while let Some(found) = stage.find(Input::new(text).range(done..)) {
        let mut end = found.end();
        if found.pattern().as_usize() == Stage::SPACES.1 {
            end = before_last_space(text, found.start(), end);
        }
        if end <= found.start() {
            break; // no pattern matches nothing, but a loop should not depend on it
        }
        if done < found.start() {
            finer.push(offset + done..offset + found.start());
        }
        done = found.start();
        if after == After::Thousands {
            for cut in thousands(&text[done..end]) {
                finer.push(offset + done..offset + found.start() + cut);
                done = found.start() + cut;
            }
        }
        finer.push(offset + done..offset + end);
        done = end;
    }
    if done < text.len() {
        finer.push(offset + done..offset + text.len());
    }
}

/// Places inside `number` with a multiple of three characters to its end.
fn thousands(number: &str) -> impl Iterator<Item = usize> {
    let length = number.chars().count();
    let places = number.char_indices().enumerate().skip(1);
    places.filter_map(move |(index, (at, _))| (length - index).is_multiple_of(3).then_some(at))
}

/// Where white space from `start` to `end` ends as `\s+(?!\S)|\s+` has it: its last character goes to what follows, if something
/// follows and something is left.
fn before_last_space(text: &str, start: usize, end: usize) -> usize {
    let last = text[..end]
        .char_indices()
        .next_back()
        .map_or(start, |(at, _)| at);
    if end < text.len() && last > start {
        last
    } else {
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut<'t>(name: &str, text: &'t str) -> Vec<&'t str> {
        let cutter = Cutter::new(rule_for(name).unwrap()).unwrap();
        cutter
            .cut(text)
            .into_iter()
            .map(|word| &text[word])
            .collect()
    }

    #[test]
    fn every_rule_compiles_and_loses_nothing() {
        let text = "I've 1234 ½ wörds,\r\n\n  \tof 我想 кириллица's {x: [12]}  \u{85}\u{3000}! ";
        for name in RULES.iter().flat_map(|rule| rule.names) {
            assert_eq!(cut(name, text).concat(), text, "{name}");
            assert_eq!(cut(name, ""), [""; 0], "{name}");
        }
    }

    #[test]
    fn no_name_is_in_two_rows() {
        let mut names: Vec<_> = RULES.iter().flat_map(|rule| rule.names).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn an_unknown_name_is_an_error_that_has_it() {
        let error = rule_for("gpt-9").unwrap_err().to_string();
        assert!(error.contains("\"gpt-9\""), "{error}");
    }

    #[test]
    fn space_leaves_its_last_character_to_the_word_after_it() {
        assert_eq!(
            cut("gpt-2", "a   b\n\nc "),
            ["a", "  ", " b", "\n", "\n", "c", " "]
        );
        assert_eq!(cut("llama-bpe", "a  \n \n  b"), ["a", "  \n \n", " ", " b"]);
        assert_eq!(cut("smollm", "x 123"), ["x", " ", "1", "2", "3"]);
        assert_eq!(
            cut("qwen2", "don'T 12\t"),
            ["don", "'T", " ", "1", "2", "\t"]
        );
        assert_eq!(
            cut("gpt-4o", "FooBar'S 1234"),
            ["Foo", "Bar'S", " ", "123", "4"]
        );
        assert_eq!(cut("falcon", "a1234$b"), ["a", "123", "4", "$", "b"]);
        assert_eq!(
            cut("deepseek-llm", "Zoé!\n 你好 12"),
            ["Zo", "é", "!", "\n", " ", "你好", " ", "12"]
        );
    }

    const NUMBERS: &str = "a1234567b 1234567 12_345\n";
    const TEXT: &str = "don'T  kitap'ın iPhone's 你好world:\r\n\r\n  y";

    /// Words of [`NUMBERS`] and [`TEXT`] as Python's `tokenizers` (0.23.3) cuts them with the models' own patterns, which look ahead.
    #[rustfmt::skip]
    const WORDS_OF_NUMBERS: &[(&str, &[&str])] = &[
        ("tiny_aya", &["a", "123", "456", "7", "b", " ", "1", "234", "567", " ", "12", "_", "345", "\n"]),
        ("afmoe", &["a", "1", "234", "567", "b", " ", "1", "234", "567", " ", "12", "_", "345", "\n"]),
        ("superbpe", &["a", "1", "234", "567", "b ", "1", "234", "567", " ", "12", "_", "345", "\n"]),
        ("minicpm5", &["a", "123", "456", "7", "b", " ", "123", "456", "7", " ", "12", "_", "345", "\n"]),
        ("gemma4", &["a1234567b 1234567 12_345", "\n"]),
        ("modern-bert", &["a", "1234567", "b", " 1234567", " 12", "_", "345", "\n"]),
    ];
    #[rustfmt::skip]
    const WORDS_OF_TEXT: &[(&str, &[&str])] = &[
        ("f2llmv2", &["don", "'T", " ", " kitap", "'ın", " iPhone", "'s", " 你好world", ":\r\n\r\n", " ", " y"]),
        ("seed-coder", &["don", "'T", " ", " kitap", "'ın", " iPhone", "'s", " 你好world", ":", "\r\n\r\n", " ", " y"]),
        ("bailingmoe2", &["don", "'T", " ", " kitap", "'ın", " iPhone", "'s", " 你好world", ":\r\n\r\n", " ", " y"]),
        ("ufakzeka", &["don", "'T", " ", " kitap", "'ın", " iPhone", "'s", " 你好world", ":\r\n\r\n", " ", " y"]),
        ("laguna", &["don", "'T", " ", " kitap", "'ın", " iPhone", "'s", " 你好world", ":\r", "\n", "\r", "\n", " ", " y"]),
        ("kimi-k2", &["don'T", " ", " kitap", "'ın", " i", "Phone's", " ", "你好", "world", ":\r\n\r\n", " ", " y"]),
        ("talkie", &["don'T", " ", " kitap", "'ın", " i", "Phone's", " 你好world", ":\r\n\r\n", " ", " y"]),
        ("youtu", &["don'T", " ", " kitap", "'ın", " i", "Phone's", " ", "你好", "world", ":\r\n\r\n", " ", " y"]),
        ("exaone-moe", &["don", "'T", " ", " kitap", "'ın iPhone", "'s", " 你好world", ":\r", "\n\r\n", " ", " y"]),
        ("spark2_5", &["don", "'T", " ", " kitap", "'", "ın", " iPhone", "'s", " ", "你好", "world", ":", "\r", "\n", "\r", "\n",
            " ", " y"]),
        ("bloom", &["don'T", " ", " kitap'ın", " iPhone's", " 你好world:", "\r\n\r\n ", " y"]),
    ];

    #[test]
    fn words_of_the_families_of_2025_and_2026() {
        for (text, rows) in [(NUMBERS, WORDS_OF_NUMBERS), (TEXT, WORDS_OF_TEXT)] {
            for (name, words) in rows {
                assert_eq!(cut(name, text), *words, "{name}");
            }
        }
    }
}
