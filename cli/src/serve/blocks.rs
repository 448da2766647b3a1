//! An answer as blocks, one after the other: thoughts, then text. Anthropic's messages and OpenAI's responses have them so.

use lantern_engine::Completion;

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Thinking,
    Text,
}

/// A block's number and kind, and what happens to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    pub index: usize,
    pub kind: Kind,
    pub change: Change,
}

/// What happens to a block.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    Opened,
    /// It goes on with this.
    Said(String),
    /// It is whole, and this.
    Closed(String),
}

/// Blocks of an answer that comes in pieces.
#[derive(Debug, Default)]
pub struct Blocks {
    /// The last block, and its text so far.
    open: Option<(Kind, String)>,
    closed: usize,
}

impl Blocks {
    /// Takes a piece; thoughts come before text.
    pub fn push(&mut self, text: String, reasoning: String) -> Vec<Step> {
        let mut steps = Vec::new();
        for (kind, piece) in [(Kind::Thinking, reasoning), (Kind::Text, text)] {
            if piece.is_empty() {
                continue;
            }
            if self.open.as_ref().is_none_or(|(open, _)| *open != kind) {
                steps.extend(self.finish());
                self.open = Some((kind, String::new()));
                steps.push(self.step(kind, Change::Opened));
            }
            if let Some((_, whole)) = &mut self.open {
                whole.push_str(&piece);
            }
            steps.push(self.step(kind, Change::Said(piece)));
        }
        steps
    }

    /// Ends the last block.
    pub fn finish(&mut self) -> Option<Step> {
        let (kind, whole) = self.open.take()?;
        let step = self.step(kind, Change::Closed(whole));
        self.closed += 1;
        Some(step)
    }

    fn step(&self, kind: Kind, change: Change) -> Step {
        Step {
            index: self.closed,
            kind,
            change,
        }
    }
}

/// Blocks of a whole answer.
pub fn blocks(completion: &Completion) -> impl Iterator<Item = (Kind, &str)> {
    let all = [
        (Kind::Thinking, completion.reasoning.as_str()),
        (Kind::Text, completion.text.as_str()),
    ];
    all.into_iter().filter(|(_, text)| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_ends_where_another_begins() {
        let mut blocks = Blocks::default();
        let mut steps = blocks.push(String::new(), "Hm".into());
        steps.extend(blocks.push("Yes".into(), ".".into()));
        steps.extend(blocks.push("!".into(), String::new()));
        steps.extend(blocks.finish());
        let said = |text: &str| Change::Said(text.into());
        let expected = [
            (0, Kind::Thinking, Change::Opened),
            (0, Kind::Thinking, said("Hm")),
            (0, Kind::Thinking, said(".")),
            (0, Kind::Thinking, Change::Closed("Hm.".into())),
            (1, Kind::Text, Change::Opened),
            (1, Kind::Text, said("Yes")),
            (1, Kind::Text, said("!")),
            (1, Kind::Text, Change::Closed("Yes!".into())),
        ];
        let expected = expected.map(|(index, kind, change)| Step {
            index,
            kind,
            change,
        });
        assert_eq!(steps, expected);
        assert_eq!(blocks.finish(), None);
    }
}
