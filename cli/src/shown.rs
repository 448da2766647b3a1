//! An answer as it is shown: what a model thinks on the way is dim at a terminal, and left out of a file or a pipe.

use crate::{failure::Result, notes, output};

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Shows an answer piece by piece.
#[derive(Default)]
pub struct Shown {
    /// Whether the last piece was a thought.
    thinking: bool,
    thought: bool,
    answered: bool,
}

impl Shown {
    /// Shows thoughts and the text after them.
    pub fn piece(&mut self, reasoning: &str, text: &str) -> Result {
        if !reasoning.is_empty() {
            self.thinks(reasoning)?;
        }
        if !text.is_empty() {
            self.answered = true;
            self.plain("\n\n")?;
            output::text(text)?;
        }
        Ok(())
    }

    /// Ends the answer; says so where it is all thoughts.
    pub fn end(&mut self) -> Result {
        self.plain("")?;
        if self.thought && !self.answered {
            notes::warning(
                "it ended before the answer, while the model was thinking; -n gives it more tokens",
            );
        }
        Ok(())
    }

    fn thinks(&mut self, text: &str) -> Result {
        self.thought = true;
        if !output::terminal() {
            return Ok(());
        }
        if !std::mem::replace(&mut self.thinking, true) {
            output::text(DIM)?;
        }
        output::text(text)
    }

    /// Ends dim text, and what stands between it and what follows.
    fn plain(&mut self, between: &str) -> Result {
        if std::mem::take(&mut self.thinking) {
            output::text(PLAIN)?;
            output::text(between)?;
        }
        Ok(())
    }
}
