//! Patterns of `tokenizer.json`. Python's `tokenizers` searches with Oniguruma, in Ruby's dialect; here the crate is built with another
//! engine, for Oniguruma is C. What both mean alike passes, line anchors are rewritten, and the rest is refused. That engine gives a
//! search up that goes back too often, at which the crate takes what it has so far for all: so long texts are searched here before.

use fancy_regex::Regex;
use serde_json::Value as Json;

use super::{check::File, keys::unsupported};
use crate::{Error, Result, file::short};

/// The pattern of `ByteLevel`, which its crate keeps to itself.
const BYTE_LEVEL: &str =
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Bytes of a text below which no pattern of a vocabulary that we know of goes back too often.
const SHORT_BYTES: usize = 1 << 16;

/// Escapes that mean the same in both dialects, apart from signs.
const ESCAPES: &str = "pPsSdDnrtfvaexuAz";

/// Letters of words, as Oniguruma has them in UTF-8: below U+0100 those of Latin-1, superscripts and fractions among them.
const WORD: &str = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE}";

/// Every search that a text goes through.
#[derive(Debug)]
pub(super) struct Searches {
    regexes: Vec<Regex>,
    /// A pattern was rewritten.
    pub changed: bool,
}

/// Rewrites the patterns of a file for the engine that is used here.
///
/// # Errors
/// [`Error::Unsupported`] for a pattern that would mean something else here.
pub(super) fn translate(file: &mut File) -> Result<Searches> {
    let mut searches = Searches {
        regexes: Vec::new(),
        changed: false,
    };
    for part in ["normalizer", "pre_tokenizer", "decoder"] {
        if let Some(value) = file.rest.get_mut(part) {
            searches.walk(part, value)?;
        }
    }
    Ok(searches)
}

impl Searches {
    fn walk(&mut self, part: &str, value: &mut Json) -> Result<()> {
        match value {
            Json::Array(all) => all.iter_mut().try_for_each(|one| self.walk(part, one)),
            Json::Object(map) => {
                let level = map.get("type").is_some_and(|kind| kind == "ByteLevel");
                let regex = map.get("use_regex") != Some(&Json::Bool(false));
                if level && regex && part == "pre_tokenizer" {
                    self.push(part, BYTE_LEVEL)?;
                }
                if let Some(Json::String(pattern)) = map.get_mut("Regex") {
                    let dialect = dialect(part, pattern)?;
                    self.changed |= dialect != *pattern;
                    self.push(part, &dialect)?;
                    *pattern = dialect;
                }
                map.values_mut().try_for_each(|one| self.walk(part, one))
            }
            _ => Ok(()),
        }
    }

    fn push(&mut self, part: &str, pattern: &str) -> Result<()> {
        let regex = Regex::new(pattern).map_err(|error| refused(part, pattern, &error.to_string()));
        self.regexes.push(regex?);
        Ok(())
    }

    /// Searches a long text as the crate will.
    ///
    /// # Errors
    /// [`Error::BadInput`] for one that it would not search to its end.
    pub fn check(&self, text: &str) -> Result<()> {
        let long = if text.len() < SHORT_BYTES { "" } else { text };
        let mut found = self.regexes.iter().flat_map(|regex| regex.find_iter(long));
        match found.find_map(std::result::Result::err) {
            None => Ok(()),
            Some(error) => Err(Error::BadInput(format!(
                "the tokenizer cannot cut this text into words ({error}); give it in parts"
            ))),
        }
    }
}

fn refused(part: &str, pattern: &str, why: &str) -> Error {
    let last = why.lines().last().unwrap_or_default();
    let pattern = short(pattern);
    unsupported(format!(
        "{part}: the pattern {pattern} is not run here: {last}"
    ))
}

/// The pattern in the dialect of the engine here: `^` and `$` are at every line in Ruby's, and `\w` is more.
fn dialect(part: &str, pattern: &str) -> Result<String> {
    let refused = |why: &str| Err(refused(part, pattern, why));
    let letters: Vec<char> = pattern.chars().collect();
    let (mut at, mut depth, mut lines) = (0, 0, false);
    let mut counted = false; // a {1,3} came just before
    let mut out = String::with_capacity(pattern.len());
    while let Some(&letter) = letters.get(at) {
        let rest = &letters[at + 1..];
        let next = rest.first().copied();
        let was_counted = std::mem::take(&mut counted);
        let mut taken = 1;
        match letter {
            '\\' if matches!(next, Some('w' | 'W')) => {
                let not = if next == Some('W') { "^" } else { "" };
                out.extend(["[", not, WORD, "]"]);
                at += 2;
                continue;
            }
            '\\' => taken += escape(rest).map_err(|why| refused(&why).unwrap_err())?,
            '[' if next == Some(':') && depth > 0 => {
                return refused("[:…:] has other letters here");
            }
            '[' => {
                depth += 1;
                taken += usize::from(next == Some('^'));
                if letters.get(at + taken) == Some(&']') {
                    return refused("a bracket that begins with ] has other letters here");
                }
            }
            ']' if depth > 0 => depth -= 1,
            '-' | '~' if depth > 0 && next == Some(letter) => {
                return refused("-- and ~~ in brackets mean something else here");
            }
            _ if depth > 0 => {}
            '{' if next == Some(',') => return refused("{,…} means something else here"),
            '^' | '$' => lines = true,
            '+' | '?' if was_counted => return refused("{…}+ and {…}? mean something else here"),
            '}' => counted = true,
            '(' if next == Some('?') => {
                let flags = rest[1..].iter();
                let flags = flags.take_while(|c| c.is_alphabetic() || **c == '-');
                let mut others = flags.clone().filter(|&&flag| flag != 'i' && flag != '-');
                if others.next().is_some() || rest.get(1) == Some(&'#') {
                    return refused("of flags, only i means the same, and comments are not known");
                }
                if at > 0 && rest.get(1 + flags.count()) == Some(&')') {
                    return refused("flags are for a group or at the start");
                }
            }
            _ => {}
        }
        out.extend(letters.iter().skip(at).take(taken));
        at += taken;
    }
    Ok(if lines { format!("(?m){out}") } else { out })
}

/// Letters of the escape that these begin with, after its backslash; or why it is refused.
fn escape(rest: &[char]) -> std::result::Result<usize, String> {
    let escaped = rest.first().copied().unwrap_or('\\');
    if escaped.is_alphanumeric() && !ESCAPES.contains(escaped) {
        return Err(format!("\\{escaped} may mean something else"));
    }
    if !("pPxu".contains(escaped) && rest.get(1) == Some(&'{')) {
        return Ok(1);
    }
    if rest.get(2) == Some(&'^') {
        return Err("\\p{^…} is written \\P{…} here".to_owned());
    }
    Ok(rest.iter().position(|&c| c == '}').map_or(1, |end| end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_here_what_they_mean_in_ruby_or_are_refused() {
        for (pattern, wanted) in [
            (r"\s+$", r"(?m)\s+$"),
            (r"^a", r"(?m)^a"),
            (r"[^\W_]", &format!("[^[^{WORD}]_]")),
            (
                r"[^\r\n\p{L}]?\p{L}++|\p{N}{1,3}|\$|[$^]",
                r"[^\r\n\p{L}]?\p{L}++|\p{N}{1,3}|\$|[$^]",
            ),
            (
                r"(?i:'s|'t)|(?!x)|(?<=a)b|\x{41}+",
                r"(?i:'s|'t)|(?!x)|(?<=a)b|\x{41}+",
            ),
        ] {
            assert_eq!(dialect("pre_tokenizer", pattern).unwrap(), wanted);
        }
        for (pattern, why) in [
            (r"\p{N}{1,3}+", "{…}+"),
            (r"\p{N}{3}?", "{…}?"),
            (r"a(?i)b|c", "start"),
            (r"\h", r"\h"),
            (r"(?m)a.b", "flags"),
            (r"(?i-m:a)", "flags"),
            (r"[[:alpha:]]", "other letters"),
            (r"[]a]", "other letters"),
            (r"\p{^L}", r"\P"),
            (r"(?#x)a", "comments"),
            (r"a\bc", r"\b"),
            (r"[+--]", "--"),
            (r"a{,3}", "{,…}"),
            (r"(a)\1", r"\1"),
        ] {
            let error = dialect("pre_tokenizer", pattern).unwrap_err().to_string();
            assert!(error.contains(why), "{pattern}: {error}");
        }
    }

    #[test]
    fn a_text_that_a_search_gives_up_is_an_error() {
        let mut searches = Searches {
            regexes: Vec::new(),
            changed: false,
        };
        searches.push("pre_tokenizer", BYTE_LEVEL).unwrap();
        searches.check(&" ".repeat(100_000)).unwrap();
        let error = searches.check(&" ".repeat(2_000_000)).unwrap_err();
        assert!(error.to_string().contains("give it in parts"), "{error}");
    }
}
