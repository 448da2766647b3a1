//! Lines that a person types: edited and remembered on a terminal, plain where stdin is a pipe.
//! The editor talks to the terminal itself, so that stdout stays free for model text.

use std::{
    fs,
    io::{self, BufRead, IsTerminal},
    path::PathBuf,
};

use rustyline::{Config, DefaultEditor, config::Behavior, error::ReadlineError};

use crate::{
    failure::{Failure, Result},
    notes, places,
};

/// Input that was read: a message, or the end.
pub enum Line {
    /// A message, of several lines where a line ends in a backslash.
    Text(String),
    /// Ctrl-C, Ctrl-D, or the end of the pipe.
    End,
}

/// Where lines come from.
pub struct Lines {
    editor: Option<DefaultEditor>,
    history: Option<PathBuf>,
}

impl Lines {
    /// Opens the terminal, or stdin.
    pub fn open() -> Lines {
        let simple = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let config = Config::builder()
            .behavior(Behavior::PreferTerm)
            .auto_add_history(true)
            .build();
        let usable = interactive() && !simple;
        let mut editor = usable
            .then(|| DefaultEditor::with_config(config).ok())
            .flatten();
        let history = places::history();
        if let (Some(editor), Some(path)) = (&mut editor, &history) {
            let _ = editor.load_history(path); // there is none before the first chat
        }
        Lines { editor, history }
    }

    /// The next message.
    pub fn next(&mut self, prompt: &str) -> Result<Line> {
        let mut text = String::new();
        let mut prompt = prompt;
        while let Some(line) = self.line(prompt)? {
            let Some(part) = line.strip_suffix('\\') else {
                return Ok(Line::Text(text + &line));
            };
            text.push_str(part);
            text.push('\n');
            prompt = "… ";
        }
        Ok(if text.is_empty() {
            Line::End
        } else {
            Line::Text(text)
        })
    }

    fn line(&mut self, prompt: &str) -> Result<Option<String>> {
        let Some(editor) = &mut self.editor else {
            return plain_line(prompt);
        };
        match editor.readline(prompt) {
            Ok(line) => Ok(Some(line)),
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(None),
            Err(error) => Err(Failure::Message(format!(
                "reading from the terminal: {error}"
            ))),
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let (Some(editor), Some(path)) = (&mut self.editor, &self.history) {
            let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
            let saved = folder
                .map_err(ReadlineError::from)
                .and_then(|()| editor.save_history(path));
            if let Err(error) = saved {
                notes::detail(&format!(
                    "the history was not saved to {}: {error}",
                    path.display()
                ));
            }
        }
    }
}

/// A person sits at stdin.
pub fn interactive() -> bool {
    io::stdin().is_terminal()
}

fn plain_line(prompt: &str) -> Result<Option<String>> {
    if interactive() {
        notes::prompt(prompt);
    }
    let mut line = String::new();
    let count = io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::io("stdin", error))?;
    let line = line.trim_end_matches(['\n', '\r']);
    Ok((count > 0).then(|| line.to_owned()))
}
