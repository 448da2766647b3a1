//! An answer as it is shown: what a model with channels thinks is dim at a terminal, and left out of a file or a pipe.

use lantern_engine::{Channels, Said, Tokenizer};

use crate::{failure::Result, notes, output};

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Shows an answer piece by piece.
pub struct Shown {
    channels: Option<Channels>,
    /// Whether the last piece was a thought.
    thinking: bool,
    thought: bool,
    answered: bool,
}

impl Shown {
    /// For a model's answers; `raw` shows all that it says as it says it.
    pub fn new(tokenizer: &Tokenizer, raw: bool) -> Shown {
        Shown {
            channels: Channels::of(tokenizer).filter(|_| !raw),
            thinking: false,
            thought: false,
            answered: false,
        }
    }

    /// Shows what is certain with this text.
    pub fn piece(&mut self, text: &str) -> Result {
        match &mut self.channels {
            None => output::text(text),
            Some(channels) => {
                let all = channels.push(text);
                all.iter().try_for_each(|said| self.said(said))
            }
        }
    }

    /// Shows what was held back, at the end of the answer; says so where it is all thoughts.
    pub fn end(&mut self) -> Result {
        let Some(channels) = &mut self.channels else {
            return Ok(());
        };
        let all = channels.finish();
        all.iter().try_for_each(|said| self.said(said))?;
        self.plain("")?;
        if self.thought && !self.answered {
            notes::warning(
                "it ended before the answer, while the model was thinking; -n gives it more tokens",
            );
        }
        Ok(())
    }

    fn said(&mut self, said: &Said) -> Result {
        match said {
            Said::Thinking(text) => {
                self.thought = true;
                if !output::terminal() {
                    return Ok(());
                }
                if !std::mem::replace(&mut self.thinking, true) {
                    output::text(DIM)?;
                }
                output::text(text)
            }
            Said::Answer(text) => {
                self.answered = true;
                self.plain("\n\n")?;
                output::text(text)
            }
        }
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
