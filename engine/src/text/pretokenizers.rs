//! How each kind of byte-level vocabulary cuts a text into words before anything is joined: a table of the names that
//! `tokenizer.ggml.pre` has, and the machine that follows it. Words never join across the cuts.
//!
//! The patterns are those of the models' own `tokenizer.json`, as llama.cpp lists them, with one change. Most end in `\s+(?!\S)|\s+`: white
//! space is a word, but leaves its last character to a word that follows. Looking ahead costs a regex its promise to be linear in any
//! text, so [`Stage::SPACES`] says the same without.

use std::ops::Range;

use regex_automata::{Input, meta::Regex};

use crate::file::short;
use crate::{Error, Result, Unsupported};

/// A row of the table.
#[derive(Debug)]
pub(super) struct Rule {
    /// Names in `tokenizer.ggml.pre`.
    names: &'static [&'static str],
    /// Done one after the other, each to what the ones before have cut.
    stages: &'static [Stage],
    /// A word that is a token stays whole, whatever the merges say.
    pub keeps_whole_words: bool,
    /// These models begin a text with BOS unless the file says otherwise.
    pub adds_bos: bool,
}

/// Cuts out what matches; what lies between the matches becomes words too.
#[derive(Debug)]
struct Stage {
    pattern: &'static str,
    /// After the pattern `\s+(?!\S)|\s+` is tried.
    spaces: bool,
}

impl Stage {
    /// The pattern of white space in a stage with `spaces`, and its number among that stage's patterns.
    const SPACES: (&'static str, usize) = (r"\s+", 1);
}

/// Only what matches.
const fn only(pattern: &'static str) -> Stage {
    Stage {
        pattern,
        spaces: false,
    }
}

/// Stage that cuts out what matches, and white space.
const fn words(pattern: &'static str) -> Stage {
    Stage {
        pattern,
        spaces: true,
    }
}

const NUMBER: Stage = only(r"\p{N}");
const NUMBERS: Stage = only(r"\p{N}+");
const THREE_NUMBERS: Stage = only(r"\p{N}{1,3}");
const THREE_DIGITS: Stage = only("[0-9][0-9][0-9]");
const LINE_ENDS: Stage = only(r"[\r\n]");
const CJK: Stage = only(r"[\u{4E00}-\u{9FA5}\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+");
const CJK_AND_MUCH_ELSE: Stage = only(r"[\u{4E00}-\u{9FA5}\u{0800}-\u{4E00}\u{AC00}-\u{D7FF}]+");

/// Radford et al. 2019, and most since.
const GPT2: Stage = words(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+");
const LLAMA3: Stage = words(concat!(
    r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
));
/// As LLAMA3, digit by digit.
const QWEN2: Stage = words(concat!(
    r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
));
/// As QWEN2, with marks as parts of letters.
const QWEN35: Stage = words(concat!(
    r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+",
    r"|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+"
));
const DEEPSEEK3: Stage = words(concat!(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+"
));
/// Words end where lower case turns to upper case.
const GPT4O: Stage = words(concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+"
));
const TEKKEN: Stage = words(concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+"
));
const FALCON: Stage = only(r"[\p{P}$+<=>^~|`]+");
const DEFAULT: Stage = only(r"[\p{P}$+<=>^~|]+");
/// Letters that have a case, as a Unicode of some years ago had them, in the words of deepseek-llm's tokenizer.json.
const CASED_LETTERS: Stage = only(concat!(
    r"\s?[",
    r"A-Za-z\u{B5}\u{C0}-\u{D6}\u{D8}-\u{F6}\u{F8}-\u{1BA}\u{1BC}-\u{1BF}\u{1C4}-\u{293}\u{295}-\u{2AF}",
    r"\u{370}-\u{373}\u{376}-\u{377}\u{37B}-\u{37D}\u{37F}\u{386}\u{388}-\u{38A}\u{38C}\u{38E}-\u{3A1}",
    r"\u{3A3}-\u{3F5}\u{3F7}-\u{481}\u{48A}-\u{52F}\u{531}-\u{556}\u{10A0}-\u{10C5}\u{13A0}-\u{13F5}",
    r"\u{13F8}-\u{13FD}\u{1C90}-\u{1CBA}\u{1CBD}-\u{1CBF}\u{1D00}-\u{1D2B}\u{1D6B}-\u{1D77}",
    r"\u{1D79}-\u{1D9A}\u{1E00}-\u{1F15}\u{1F18}-\u{1F1D}\u{1F20}-\u{1F45}\u{1F48}-\u{1F4D}",
    r"\u{1F50}-\u{1F57}\u{1F59}\u{1F5B}\u{1F5D}\u{1F5F}-\u{1F7D}\u{1F80}-\u{1FB4}\u{1FB6}-\u{1FBC}\u{1FBE}",
    r"\u{1FC2}-\u{1FC4}\u{1FC6}-\u{1FCC}\u{1FD0}-\u{1FD3}\u{1FD6}-\u{1FDB}\u{1FE0}-\u{1FEC}",
    r"\u{1FF2}-\u{1FF4}\u{1FF6}-\u{1FFC}\u{2102}\u{2107}\u{210A}-\u{2113}\u{2115}\u{2119}-\u{211D}\u{2124}",
    r"\u{2126}\u{2128}\u{212A}-\u{212D}\u{212F}-\u{2134}\u{2139}\u{213C}-\u{213F}\u{2145}-\u{2149}\u{214E}",
    r"\u{2183}-\u{2184}\u{2C00}-\u{2C7B}\u{2C7E}-\u{2CE4}\u{2CEB}-\u{2CEE}\u{2CF2}-\u{2CF3}",
    r"\u{A640}-\u{A66D}\u{A680}-\u{A69B}\u{A722}-\u{A76F}\u{A771}-\u{A787}\u{A78B}-\u{A78E}",
    r"\u{AB70}-\u{ABBF}\u{FB00}-\u{FB06}\u{FB13}-\u{FB17}\u{FF21}-\u{FF3A}\u{FF41}-\u{FF5A}",
    r"\u{10400}-\u{1044F}\u{104B0}-\u{104D3}\u{104D8}-\u{104FB}\u{10C80}-\u{10CB2}\u{10CC0}-\u{10CF2}",
    r"\u{118A0}-\u{118DF}\u{1E900}-\u{1E943}",
    r"]+"
));

const fn rule(names: &'static [&'static str], stages: &'static [Stage]) -> Rule {
    Rule {
        names,
        stages,
        keeps_whole_words: false,
        adds_bos: false,
    }
}

/// Everything we know how to cut. A name that is in no row is an error, for a wrong cut would go unseen.
const RULES: &[Rule] = &[
    rule(&["default"], &[DEFAULT, GPT2, NUMBERS, THREE_DIGITS]),
    rule(
        &[
            "gpt-2",
            "phi-2",
            "mpt",
            "olmo",
            "jais",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "exaone4",
            "trillion",
            "granite-docling",
        ],
        &[GPT2],
    ),
    rule(
        &[
            "starcoder",
            "refact",
            "command-r",
            "smollm",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2",
        ],
        &[NUMBER, GPT2],
    ),
    Rule {
        keeps_whole_words: true,
        adds_bos: true,
        ..rule(
            &[
                "llama-bpe",
                "llama3",
                "llama-v3",
                "falcon3",
                "falcon-h1",
                "pixtral",
                "midm-2.0",
                "lfm2",
            ],
            &[LLAMA3],
        )
    },
    rule(&["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], &[LLAMA3]),
    rule(
        &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "megrez",
            "stablelm2",
            "hunyuan",
            "grok-2",
            "solar-open",
        ],
        &[QWEN2],
    ),
    rule(&["qwen35"], &[QWEN35]),
    rule(
        &["deepseek-llm"],
        &[
            LINE_ENDS,
            CASED_LETTERS,
            // :-~ has the letters in it too: words of plain letters stay whole, others are cut once more. So it was trained.
            only(
                r"\s?[!-/:-~\u{FF01}-\u{FF0F}\u{FF1A}-\u{FF5E}\u{2018}-\u{201F}\u{3000}-\u{3002}]+",
            ),
            only(r"\s+$"),
            CJK_AND_MUCH_ELSE,
            NUMBERS,
        ],
    ),
    rule(
        &["deepseek-coder"],
        &[
            LINE_ENDS,
            only(r"\s?\p{L}+"),
            only(r"\s?\p{P}+"),
            CJK_AND_MUCH_ELSE,
            NUMBER,
        ],
    ),
    rule(
        &["deepseek-v3", "hunyuan-dense", "joyai-llm"],
        &[THREE_NUMBERS, CJK, DEEPSEEK3],
    ),
    rule(&["falcon"], &[FALCON, GPT2, THREE_DIGITS]),
    rule(&["gpt-4o", "llama4", "kanana2", "minimax-m2"], &[GPT4O]),
    Rule {
        keeps_whole_words: true,
        adds_bos: true,
        ..rule(&["tekken"], &[TEKKEN])
    },
];

/// The row of `name`; an error lists the names there are.
pub(super) fn rule_for(name: &str) -> Result<&'static Rule> {
    let known = RULES.iter().find(|rule| rule.names.contains(&name));
    known.ok_or_else(|| {
        let mut names: Vec<&str> = RULES.iter().flat_map(|rule| rule.names).copied().collect();
        names.sort_unstable();
        Error::unsupported(
            Unsupported::Tokenizer,
            format!(
                "the file's pre-tokenizer (tokenizer.ggml.pre) is {}; known are {}",
                short(name),
                names.join(", ")
            ),
        )
    })
}

/// A rule, ready to cut.
#[derive(Debug)]
pub(super) struct Cutter {
    stages: Vec<Regex>,
}

impl Cutter {
    /// Compiles the patterns of `rule`.
    pub fn new(rule: &Rule) -> Result<Cutter> {
        let compile = |stage: &Stage| {
            let regex = if stage.spaces {
                Regex::new_many(&[stage.pattern, Stage::SPACES.0])
            } else {
                Regex::new(stage.pattern)
            };
            regex.map_err(|error| {
                Error::unsupported(Unsupported::Tokenizer, format!("pre-tokenizer: {error}"))
            })
        };
        let stages = rule.stages.iter().map(compile).collect::<Result<_>>()?;
        Ok(Cutter { stages })
    }

    /// Where the words of `text` are: they follow each other without gaps.
    pub fn cut(&self, text: &str) -> Vec<Range<usize>> {
        let mut words: Vec<Range<usize>> = std::iter::once(0..text.len()).collect();
        for stage in &self.stages {
            let mut finer = Vec::with_capacity(words.len());
            for word in words {
                cut_word(stage, text, word, &mut finer);
            }
            words = finer;
        }
        words
    }
}

/// One stage on one word. The pattern sees nothing outside the word.
fn cut_word(stage: &Regex, text: &str, word: Range<usize>, finer: &mut Vec<Range<usize>>) {
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
        finer.push(offset + found.start()..offset + end);
        done = end;
    }
    if done < text.len() {
        finer.push(offset + done..offset + text.len());
    }
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
    fn an_unknown_name_is_an_error_that_lists_the_known() {
        let error = rule_for("gpt-9").unwrap_err().to_string();
        assert!(
            error.contains("\"gpt-9\"") && error.contains("llama-bpe"),
            "{error}"
        );
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
}
