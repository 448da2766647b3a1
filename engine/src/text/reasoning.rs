//! Thoughts of a model on the way to its answer, and the answer, taken apart as they come. Models mark thoughts in few ways:
//! a table of those, one of which a model's vocabulary or its chat template names.

use super::Tokenizer;

/// A piece of what a model says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// Thoughts on the way to an answer.
    Thinking(String),
    /// The answer.
    Answer(String),
    /// The name of a tool that is called.
    Call(String),
    /// A piece of the arguments of the call that was told of last.
    Arguments(String),
}

impl Said {
    /// The answer's text, where it is that.
    pub(super) fn answer(self) -> Option<String> {
        match self {
            Said::Answer(text) => Some(text),
            _ => None,
        }
    }
}

/// How a model marks its thoughts.
#[derive(Debug, PartialEq, Eq)]
enum Format {
    /// OpenAI's harmony (gpt-oss, 2025): each part has a header, `<|channel|>` and a name, and after `<|message|>` its text.
    /// `final` is the answer; `analysis` and `commentary` are thoughts.
    Harmony,
    /// Thoughts stand between two marks before the answer, and white space around both is no part of either.
    Tags {
        /// Before the thoughts; the prompt may end with it.
        open: &'static str,
        /// After them.
        close: &'static str,
    },
}

const FORMATS: &[Format] = &[
    Format::Harmony,
    // DeepSeek R1, Qwen 3, SmolLM 3, GLM, Nemotron and most others.
    tags("<think>", "</think>"),
    // Gemma 4.
    tags("<|channel>thought\n", "<channel|>"),
    // Magistral.
    tags("[THINK]", "[/THINK]"),
    // Seed-OSS.
    tags("<seed:think>", "</seed:think>"),
    // Command A.
    tags("<|START_THINKING|>", "<|END_THINKING|>"),
];

const fn tags(open: &'static str, close: &'static str) -> Format {
    Format::Tags { open, close }
}

const CHANNEL: &str = "<|channel|>";
const MESSAGE: &str = "<|message|>";
/// Before the name of a tool, in a header.
const TO: &str = "to=functions.";
/// Marks that end a part in harmony.
const ENDS: [&str; 3] = ["<|end|>", "<|start|>", CHANNEL];

/// How the answer to a prompt marks its thoughts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reasoning {
    format: &'static Format,
    /// The prompt ends within the thoughts.
    open: bool,
}

impl Reasoning {
    /// How a model marks thoughts in the answer to `prompt`, which its template of this text made; none for models that
    /// mark none.
    pub(super) fn of(template: &str, tokenizer: &Tokenizer, prompt: &[u32]) -> Option<Reasoning> {
        let is_token = |mark: &str| tokenizer.has_mark(mark);
        let format = FORMATS.iter().find(|format| match format {
            Format::Harmony => has_harmony(tokenizer),
            Format::Tags { open, close } => is_token(close) || template.contains(open),
        })?;
        // The longest mark has fewer tokens than bytes, and white space may follow it.
        let tail = prompt.len().saturating_sub(32);
        let end = tokenizer.decode(&prompt[tail..]);
        let open = match format {
            Format::Harmony => false,
            Format::Tags { open, .. } => end.trim_end().ends_with(open.trim_end()),
        };
        Some(Reasoning { format, open })
    }

    /// Texts that end thoughts and lead to what follows them, to be forced: the end, what leads to an answer, and what leads to
    /// a call of a tool.
    pub(super) fn leads(&self) -> Leads {
        match self.format {
            Format::Harmony => Leads {
                begin: "<|channel|>analysis<|message|>",
                close: "<|end|>".to_owned(),
                next: "<|start|>assistant",
                answer: "<|channel|>final<|message|>",
                call: "<|channel|>commentary to=functions.",
            },
            Format::Tags { close, .. } => Leads {
                begin: "",
                close: format!("\n{close}\n\n"),
                next: "",
                answer: "",
                call: "",
            },
        }
    }

    /// The mark before thoughts, where the model writes it itself.
    pub(super) fn open_mark(&self) -> Option<&'static str> {
        match self.format {
            Format::Harmony => None,
            Format::Tags { open, .. } => Some(open),
        }
    }

    /// Whether a control token of this text is said: it is a mark, or begins one.
    pub(crate) fn says(&self, token: &str) -> bool {
        match self.format {
            Format::Harmony => false,
            Format::Tags { open, close } => open.starts_with(token) || *close == token,
        }
    }
}

/// How far a model is on the way to its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has said nothing yet, and may think.
    Begin,
    /// It thinks.
    Thinking,
    /// Thoughts are over, and it has to say what it does next: in harmony only.
    Between,
    /// It answers.
    Answer,
}

/// Texts on the way from thoughts to an answer.
#[derive(Debug, Default)]
pub(super) struct Leads {
    /// Before thoughts, where they have to be said to be such.
    pub begin: &'static str,
    /// After thoughts.
    pub close: String,
    /// Between thoughts and what follows them.
    pub next: &'static str,
    /// Before an answer.
    pub answer: &'static str,
    /// Before the name of a tool.
    pub call: &'static str,
}

/// Takes the text of a model apart.
#[derive(Debug, Clone)]
pub(crate) struct Thoughts {
    format: &'static Format,
    /// Text that is not settled: a header that is not whole, or what may be the start of a mark.
    held: String,
    part: Part,
    /// Parts in harmony that call a tool are calls, and no thoughts.
    calls: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Nothing has come yet.
    Begin,
    /// Harmony: up to where a part's text begins.
    Header,
    /// Tags: white space before the thoughts.
    BeforeThinking,
    Thinking,
    /// Tags: white space before the answer.
    BeforeAnswer,
    Answer,
    /// Harmony: the arguments of a call.
    Call,
}

impl Thoughts {
    pub fn new(reasoning: Reasoning) -> Thoughts {
        Thoughts {
            format: reasoning.format,
            held: String::new(),
            part: if reasoning.open {
                Part::BeforeThinking
            } else {
                Part::Begin
            },
            calls: false,
        }
    }

    /// Tells of calls that are parts of their own.
    pub fn with_calls(mut self, calls: bool) -> Thoughts {
        self.calls = calls;
        self
    }

    /// How far the text is.
    pub(super) fn progress(&self) -> Progress {
        match self.part {
            Part::Begin => Progress::Begin,
            Part::Header if self.held == ENDS[0] => Progress::Between,
            Part::Header | Part::BeforeThinking | Part::Thinking => Progress::Thinking,
            Part::BeforeAnswer | Part::Answer | Part::Call => Progress::Answer,
        }
    }

    /// Pieces that are certain with this text.
    pub fn push(&mut self, text: &str) -> Vec<Said> {
        self.held.push_str(text);
        let mut said = Vec::new();
        while match self.format {
            Format::Harmony => self.harmony(&mut said),
            Format::Tags { open, close } => self.tags((open, close), &mut said),
        } {}
        said
    }

    /// Pieces that were held back, at the end of the text. A header without its text says nothing.
    pub fn finish(&mut self) -> Vec<Said> {
        let mut rest = std::mem::take(&mut self.held);
        let part = match self.part {
            Part::Header => return vec![],
            Part::Begin => Part::Answer,
            Part::BeforeThinking => Part::Thinking,
            part => part,
        };
        if part == Part::Thinking && *self.format != Format::Harmony {
            rest.truncate(rest.trim_end().len());
        }
        piece(part, rest).into_iter().collect()
    }

    /// Takes what is certain from the text that is held; false where more text is needed.
    fn harmony(&mut self, said: &mut Vec<Said>) -> bool {
        match self.part {
            // A text that begins without a mark has no channels.
            Part::Begin => match begins(&self.held, &ENDS) {
                Begins::With(_) => self.part = Part::Header,
                Begins::Maybe => return false,
                Begins::Otherwise => self.part = Part::Answer,
            },
            Part::Header => {
                let Some(end) = self.held.find(MESSAGE) else {
                    return false;
                };
                let header = &self.held[..end];
                let name = header.rsplit(CHANNEL).next().unwrap_or_default();
                let answers = header.contains(CHANNEL) && name.trim().starts_with("final");
                let called = header.split_once(TO).filter(|_| self.calls);
                self.part = if let Some((_, name)) = called {
                    let end = name.find(|c: char| c.is_whitespace() || c == '<');
                    said.push(Said::Call(name[..end.unwrap_or(name.len())].to_owned()));
                    Part::Call
                } else if answers {
                    Part::Answer
                } else {
                    Part::Thinking
                };
                self.held.drain(..end + MESSAGE.len());
            }
            part => {
                let first = ENDS.iter().filter_map(|mark| self.held.find(mark)).min();
                let certain = first.unwrap_or_else(|| certain(&self.held, &ENDS));
                let text: String = self.held.drain(..certain).collect();
                said.extend(piece(part, text));
                if first.is_some() {
                    self.part = Part::Header;
                }
                return first.is_some();
            }
        }
        true
    }

    /// As `harmony`, for thoughts between two marks.
    fn tags(&mut self, (open, close): (&str, &str), said: &mut Vec<Said>) -> bool {
        let white = self.held.len() - self.held.trim_start().len();
        match self.part {
            Part::Begin => match begins(&self.held[white..], &[open]) {
                Begins::With(mark) => {
                    self.held.drain(..white + mark);
                    self.part = Part::BeforeThinking;
                }
                Begins::Maybe => return false,
                Begins::Otherwise => self.part = Part::Answer,
            },
            // A model may write the mark once more that its prompt ends with.
            Part::BeforeThinking => match begins(&self.held[white..], &[open]) {
                Begins::With(mark) => drop(self.held.drain(..white + mark)),
                Begins::Maybe => return false,
                Begins::Otherwise => {
                    self.held.drain(..white);
                    self.part = Part::Thinking;
                }
            },
            Part::Thinking => {
                let end = self.held.find(close);
                let certain = end.unwrap_or_else(|| certain(&self.held, &[close]));
                let thought = self.held[..certain].trim_end().len();
                said.extend(piece(Part::Thinking, self.held[..thought].to_owned()));
                let Some(end) = end else {
                    self.held.drain(..thought);
                    return false;
                };
                self.held.drain(..end + close.len());
                self.part = Part::BeforeAnswer;
            }
            Part::BeforeAnswer => {
                self.held.drain(..white);
                if self.held.is_empty() {
                    return false;
                }
                self.part = Part::Answer;
            }
            part => {
                said.extend(piece(part, std::mem::take(&mut self.held)));
                return false;
            }
        }
        true
    }
}

/// Beginnings of a text.
pub(super) enum Begins {
    /// A mark of so many bytes.
    With(usize),
    /// Text that may become a mark.
    Maybe,
    /// No mark.
    Otherwise,
}

pub(super) fn begins(text: &str, marks: &[&str]) -> Begins {
    if let Some(mark) = marks.iter().find(|mark| text.starts_with(**mark)) {
        Begins::With(mark.len())
    } else if marks.iter().any(|mark| mark.starts_with(text)) {
        Begins::Maybe
    } else {
        Begins::Otherwise
    }
}

/// The length of a text without an end that may become a mark.
pub(super) fn certain(text: &str, marks: &[&str]) -> usize {
    let longest = marks.iter().map(|mark| mark.len()).max().unwrap_or(0);
    let tail = |at: &usize| {
        let rest = &text[*at..];
        rest.len() < longest && marks.iter().any(|mark| mark.starts_with(rest))
    };
    let starts = text.char_indices().map(|(at, _)| at);
    starts.into_iter().find(tail).unwrap_or(text.len())
}

fn piece(part: Part, text: String) -> Option<Said> {
    let of = match part {
        Part::Thinking => Said::Thinking,
        Part::Call => Said::Arguments,
        _ => Said::Answer,
    };
    (!text.is_empty()).then(|| of(text))
}

/// Thoughts and answer of pieces.
#[cfg(any(test, feature = "templates"))]
fn joined(pieces: Vec<Said>) -> (String, String) {
    let (mut thinking, mut answer) = (String::new(), String::new());
    for said in pieces {
        match said {
            Said::Thinking(text) => thinking += &text,
            Said::Answer(text) => answer += &text,
            Said::Call(_) | Said::Arguments(_) => {}
        }
    }
    (thinking, answer)
}

/// Thoughts and answer of a whole text in harmony.
#[cfg(feature = "templates")]
pub(super) fn harmony_apart(text: &str) -> (String, String) {
    let (format, open) = (&Format::Harmony, false);
    let mut thoughts = Thoughts::new(Reasoning { format, open });
    joined([thoughts.push(text), thoughts.finish()].concat())
}

/// Whether a model's vocabulary has harmony's marks.
pub(super) fn has_harmony(tokenizer: &Tokenizer) -> bool {
    [CHANNEL, MESSAGE]
        .into_iter()
        .all(|mark| tokenizer.has_mark(mark))
}

/// Whether a text has harmony's channels.
#[cfg(feature = "templates")]
pub(super) fn has_channels(text: &str) -> bool {
    text.starts_with(CHANNEL) || text.starts_with("<|start|>")
}

#[cfg(test)]
mod tests {
    use super::*;

    const THINK: Reasoning = Reasoning {
        format: &FORMATS[1],
        open: false,
    };
    const OPENED: Reasoning = Reasoning {
        open: true,
        ..THINK
    };
    const HARMONY: Reasoning = Reasoning {
        format: &FORMATS[0],
        ..THINK
    };
    const GEMMA: Reasoning = Reasoning {
        format: &FORMATS[2],
        ..THINK
    };

    /// Asserts the thoughts and the answer of a text, whole, cut in two anywhere, and character by character.
    fn check(reasoning: Reasoning, text: &str, thinking: &str, answer: &str) {
        let wanted = (thinking.to_owned(), answer.to_owned());
        let told = |pieces: &[&str]| {
            let mut thoughts = Thoughts::new(reasoning);
            let mut all: Vec<Said> = pieces.iter().flat_map(|one| thoughts.push(one)).collect();
            all.extend(thoughts.finish());
            joined(all)
        };
        for cut in (0..=text.len()).filter(|&cut| text.is_char_boundary(cut)) {
            let (first, second) = text.split_at(cut);
            assert_eq!(told(&[first, second]), wanted, "{text:?} cut at {cut}");
        }
        let characters: Vec<&str> = text.split("").collect();
        assert_eq!(told(&characters), wanted, "{text:?} by characters");
    }

    #[test]
    fn channels_are_taken_apart_wherever_the_text_is_cut() {
        let whole = "<|channel|>analysis<|message|>2 < 3, so<|end|><|start|>assistant<|channel|>final<|message|>Yes <|b";
        check(HARMONY, whole, "2 < 3, so", "Yes <|b");
        check(HARMONY, "< and <|c", "", "< and <|c");
        check(HARMONY, "<", "", "<");
    }

    #[test]
    fn calls_of_tools_are_no_answers() {
        let call = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}";
        check(HARMONY, call, "{}", "");
    }

    #[test]
    fn tags_are_taken_apart_wherever_the_text_is_cut() {
        let whole = "<think>\nIs 2 < 3?\n\nYes </th\n</think>\n\nYes, it is: é <think>\n";
        check(
            THINK,
            whole,
            "Is 2 < 3?\n\nYes </th",
            "Yes, it is: é <think>\n",
        );
        check(THINK, "\n <think>\n\n</think>\n\nYes.", "", "Yes.");
        check(THINK, " <thin air", "", " <thin air");
        check(THINK, "<th", "", "<th");
        check(THINK, "Yes </think> no", "", "Yes </think> no");
        check(THINK, "<think>\nHm \n", "Hm", "");
        check(THINK, "<think>Hm</th", "Hm</th", "");
        check(THINK, "", "", "");
        let gemma = "<|channel>thought\nHm.\n<channel|>Yes.";
        check(GEMMA, gemma, "Hm.", "Yes.");
        check(GEMMA, "<|channel>", "", "<|channel>");
    }

    #[test]
    fn thoughts_that_the_prompt_begins_need_no_mark() {
        check(OPENED, "Hm.\n</think>\n\nYes.", "Hm.", "Yes.");
        check(OPENED, "\n<think>\nHm.\n</think>Yes.", "Hm.", "Yes.");
        check(OPENED, "</think>Yes.", "", "Yes.");
        check(OPENED, "<th", "<th", "");
        check(OPENED, " \n", "", "");
    }
}
