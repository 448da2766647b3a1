//! Channels of what gpt-oss says (OpenAI's harmony format, 2025): each part has a header, `<|channel|>` and a name, and after
//! `<|message|>` its text. `final` is the answer; `analysis` and `commentary` are what the model thinks on the way.

use super::Tokenizer;

/// A piece of what a model says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Thoughts on the way to an answer.
    Thinking(String),
    /// The answer.
    Answer(String),
}

const CHANNEL: &str = "<|channel|>";
const MESSAGE: &str = "<|message|>";
/// Marks that end a part.
const ENDS: [&str; 3] = ["<|end|>", "<|start|>", CHANNEL];

/// Takes the text of a model with channels apart, as it comes.
#[derive(Debug, Clone)]
pub struct Channels {
    /// Text that is not settled: a header that is not whole, or what may be the start of a mark.
    held: String,
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Nothing has come yet.
    Begin,
    Header,
    Thinking,
    Answer,
}

impl Channels {
    /// For the answers of a model whose vocabulary has the marks; none for others.
    pub fn of(tokenizer: &Tokenizer) -> Option<Channels> {
        let marked = |mark| !tokenizer.control_marks(mark).is_empty();
        (marked(CHANNEL) && marked(MESSAGE)).then(Channels::new)
    }

    fn new() -> Channels {
        Channels {
            held: String::new(),
            part: Part::Begin,
        }
    }

    /// Pieces that are certain with this text.
    pub fn push(&mut self, text: &str) -> Vec<Said> {
        self.held.push_str(text);
        let mut said = Vec::new();
        while self.step(&mut said) {}
        said
    }

    /// Pieces that were held back, at the end of the text. A header without its text says nothing.
    pub fn finish(&mut self) -> Vec<Said> {
        let rest = std::mem::take(&mut self.held);
        match self.part {
            Part::Header => vec![],
            Part::Begin => piece(Part::Answer, rest).into_iter().collect(),
            part => piece(part, rest).into_iter().collect(),
        }
    }

    /// Takes what is certain from the text that is held; false where more text is needed.
    fn step(&mut self, said: &mut Vec<Said>) -> bool {
        match self.part {
            // A text that begins without a mark has no channels.
            Part::Begin => {
                let marks = ENDS.iter().copied();
                let may_begin = |mark: &str| mark.starts_with(&self.held);
                if marks.clone().any(|mark| self.held.starts_with(mark)) {
                    self.part = Part::Header;
                } else if self.held.is_empty() || marks.clone().any(may_begin) {
                    return false;
                } else {
                    self.part = Part::Answer;
                }
                true
            }
            Part::Header => {
                let Some(end) = self.held.find(MESSAGE) else {
                    return false;
                };
                let header = &self.held[..end];
                let name = header.rsplit(CHANNEL).next().unwrap_or_default();
                let answers = header.contains(CHANNEL) && name.trim().starts_with("final");
                self.part = if answers {
                    Part::Answer
                } else {
                    Part::Thinking
                };
                self.held.drain(..end + MESSAGE.len());
                true
            }
            part => {
                let first = ENDS.iter().filter_map(|mark| self.held.find(mark)).min();
                let certain = first.unwrap_or_else(|| certain(&self.held));
                let text: String = self.held.drain(..certain).collect();
                said.extend(piece(part, text));
                if first.is_some() {
                    self.part = Part::Header;
                }
                first.is_some()
            }
        }
    }
}

/// The length of a text without an end that may become a mark.
fn certain(text: &str) -> usize {
    let longest = ENDS.iter().map(|mark| mark.len()).max().unwrap_or(0);
    let tail = |at: &usize| {
        let rest = &text[*at..];
        rest.len() < longest && ENDS.iter().any(|mark| mark.starts_with(rest))
    };
    let starts = text.char_indices().map(|(at, _)| at);
    starts.into_iter().find(tail).unwrap_or(text.len())
}

fn piece(part: Part, text: String) -> Option<Said> {
    let of = match part {
        Part::Thinking => Said::Thinking,
        _ => Said::Answer,
    };
    (!text.is_empty()).then(|| of(text))
}

/// Thoughts and answer of a whole text.
pub(super) fn apart(text: &str) -> (String, String) {
    let mut channels = Channels::new();
    let (mut thinking, mut answer) = (String::new(), String::new());
    for said in [channels.push(text), channels.finish()].concat() {
        match said {
            Said::Thinking(text) => thinking += &text,
            Said::Answer(text) => answer += &text,
        }
    }
    (thinking, answer)
}

/// Whether a text has channels.
pub(super) fn has_channels(text: &str) -> bool {
    text.starts_with(CHANNEL) || text.starts_with("<|start|>")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "<|channel|>analysis<|message|>2 < 3, so<|end|><|start|>assistant<|channel|>final<|message|>Yes <|b";

    #[test]
    fn pieces_are_the_same_wherever_the_text_is_cut() {
        let wanted = ("2 < 3, so".to_owned(), "Yes <|b".to_owned());
        assert_eq!(apart(WHOLE), wanted);
        for cut in 0..WHOLE.len() {
            let mut channels = Channels::new();
            let (mut thinking, mut answer) = (String::new(), String::new());
            let (first, second) = WHOLE.split_at(cut);
            let all = [
                channels.push(first),
                channels.push(second),
                channels.finish(),
            ];
            for said in all.concat() {
                match said {
                    Said::Thinking(text) => thinking += &text,
                    Said::Answer(text) => answer += &text,
                }
            }
            assert_eq!((thinking, answer), wanted, "cut at {cut}");
        }
    }

    #[test]
    fn texts_without_marks_are_answers() {
        assert_eq!(apart("< and <|c"), (String::new(), "< and <|c".to_owned()));
        assert_eq!(apart("<"), (String::new(), "<".to_owned()));
    }

    #[test]
    fn calls_of_tools_are_no_answers() {
        let call = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}";
        assert_eq!(apart(call), ("{}".to_owned(), String::new()));
    }
}
