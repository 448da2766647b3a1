//! An answer as blocks, one after the other: thoughts, then text, then calls of tools. Anthropic's messages and OpenAI's
//! responses have them so.

use lantern_engine::Completion;

use super::answers::Piece;

/// Kind of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Thinking,
    Text,
    Call,
}

/// A block's number and kind, and what happens to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    pub index: usize,
    pub kind: Kind,
    /// The tool that a call is of; else empty.
    pub name: String,
    pub change: Change,
}

/// Change of a block.
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
    open: Option<Block>,
    closed: usize,
}

/// A block that is whole, or as far as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub kind: Kind,
    /// The tool that a call is of; else empty.
    pub name: String,
    /// Text, or arguments of a call.
    pub text: String,
}

impl Blocks {
    /// Takes a piece; thoughts come before text.
    pub fn push(&mut self, piece: Piece) -> Vec<Step> {
        let mut steps = Vec::new();
        match piece {
            Piece::Text { text, reasoning } => {
                self.add(Kind::Thinking, String::new(), reasoning, &mut steps);
                self.add(Kind::Text, String::new(), text, &mut steps);
            }
            Piece::Call {
                name, arguments, ..
            } => self.add(Kind::Call, name, arguments, &mut steps),
        }
        steps
    }

    /// Adds to the last block, or begins one: with a name always.
    fn add(&mut self, kind: Kind, name: String, text: String, steps: &mut Vec<Step>) {
        if text.is_empty() && name.is_empty() {
            return;
        }
        let goes_on = self.open.as_ref().is_some_and(|open| open.kind == kind);
        if !goes_on || !name.is_empty() {
            steps.extend(self.finish());
            let block = Block {
                kind,
                name,
                text: String::new(),
            };
            steps.push(self.step(&block, Change::Opened));
            self.open = Some(block);
        }
        if text.is_empty() {
            return;
        }
        if let Some(mut block) = self.open.take() {
            block.text.push_str(&text);
            steps.push(self.step(&block, Change::Said(text)));
            self.open = Some(block);
        }
    }

    /// Ends the last block.
    pub fn finish(&mut self) -> Option<Step> {
        let block = self.open.take()?;
        let step = self.step(&block, Change::Closed(block.text.clone()));
        self.closed += 1;
        Some(step)
    }

    fn step(&self, block: &Block, change: Change) -> Step {
        Step {
            index: self.closed,
            kind: block.kind,
            name: block.name.clone(),
            change,
        }
    }
}

/// Blocks of a whole answer.
pub fn blocks(completion: &Completion) -> Vec<Block> {
    let of = |kind, name: &str, text: &str| Block {
        kind,
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let mut all = vec![
        of(Kind::Thinking, "", &completion.reasoning),
        of(Kind::Text, "", &completion.text),
    ];
    all.retain(|block| !block.text.is_empty());
    let calls = completion.tool_calls.iter();
    all.extend(calls.map(|call| of(Kind::Call, &call.name, &call.arguments)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, reasoning: &str) -> Piece {
        Piece::Text {
            text: text.into(),
            reasoning: reasoning.into(),
        }
    }

    fn call(index: usize, name: &str, arguments: &str) -> Piece {
        Piece::Call {
            index,
            name: name.into(),
            arguments: arguments.into(),
        }
    }

    #[test]
    fn a_block_ends_where_another_begins() {
        let mut blocks = Blocks::default();
        let pieces = [
            text("", "Hm"),
            text("Yes", "."),
            text("!", ""),
            call(0, "look", "{"),
            call(0, "", "}"),
            call(1, "look", ""),
            call(1, "", "{}"),
        ];
        let mut steps: Vec<Step> = pieces
            .into_iter()
            .flat_map(|piece| blocks.push(piece))
            .collect();
        steps.extend(blocks.finish());
        let said = |text: &str| Change::Said(text.into());
        let closed = |text: &str| Change::Closed(text.into());
        let expected = [
            (0, Kind::Thinking, Change::Opened),
            (0, Kind::Thinking, said("Hm")),
            (0, Kind::Thinking, said(".")),
            (0, Kind::Thinking, closed("Hm.")),
            (1, Kind::Text, Change::Opened),
            (1, Kind::Text, said("Yes")),
            (1, Kind::Text, said("!")),
            (1, Kind::Text, closed("Yes!")),
            (2, Kind::Call, Change::Opened),
            (2, Kind::Call, said("{")),
            (2, Kind::Call, said("}")),
            (2, Kind::Call, closed("{}")),
            (3, Kind::Call, Change::Opened),
            (3, Kind::Call, said("{}")),
            (3, Kind::Call, closed("{}")),
        ];
        let expected = expected.map(|(index, kind, change)| Step {
            index,
            kind,
            name: if kind == Kind::Call {
                "look".into()
            } else {
                String::new()
            },
            change,
        });
        assert_eq!(steps, expected);
        assert_eq!(blocks.finish(), None);
    }
}
