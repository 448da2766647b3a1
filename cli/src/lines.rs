//! Lines that a person types: edited and remembered on a terminal, plain where stdin is a pipe.
//! The editor talks to the terminal itself, so that stdout stays free for model text.

use std::{
    cell::Cell,
    collections::VecDeque,
    fs,
    io::{self, BufRead, IsTerminal, Read},
    path::{Path, PathBuf},
};

use rustyline::{
    Config, Context, Editor, Helper, completion::Completer, config::Behavior, error::ReadlineError,
    highlight::Highlighter, hint::Hinter, history::FileHistory, validate::Validator,
};

use crate::{
    failure::{Failure, Result},
    files, interrupt, notes, places, terminal,
};

/// Input that was read: a message, or the end.
pub enum Line {
    /// A message, of several lines where a line ends in a backslash.
    Text(String),
    /// Ctrl-D, two Ctrl-C, or the end of the pipe.
    End,
}

/// One line, or what came in its place.
enum Part {
    Line(String),
    /// Ctrl-C, and whether something was typed.
    Interrupt {
        typed: bool,
    },
    End,
}

/// Where lines come from.
pub struct Lines {
    editor: Option<Editor<Watch, FileHistory>>,
    history: Option<PathBuf>,
    pipe: Pipe,
    /// The editor shows what is typed itself. Between two lines nobody does, so that it stands in no answer.
    _held: Option<terminal::Held>,
}

impl Lines {
    /// Opens the terminal, or stdin.
    pub fn open() -> Lines {
        let simple = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let usable = interactive() && !simple;
        let mut editor = usable.then(editor).flatten();
        let history = places::history();
        if let (Some(editor), Some(path)) = (&mut editor, &history) {
            let _ = editor.load_history(path); // there is none before the first chat
        }
        let pipe = Pipe::default();
        let held = editor.as_ref().and_then(|_| terminal::hold_typing());
        Lines {
            editor,
            history,
            pipe,
            _held: held,
        }
    }

    /// The next message. Ctrl-C takes back what was typed of it; on an empty line the second one ends the conversation.
    pub fn next(&mut self, prompt: &str) -> Result<Line> {
        let mut text = String::new();
        let mut warned = false;
        loop {
            let shown = if text.is_empty() { prompt } else { "… " };
            match self.line(shown)? {
                Part::Line(line) => {
                    let Some(part) = line.strip_suffix('\\') else {
                        return Ok(Line::Text(text + &line));
                    };
                    text.push_str(part);
                    text.push('\n');
                }
                Part::Interrupt { typed } if typed || !text.is_empty() => {
                    text.clear();
                    warned = false;
                }
                Part::Interrupt { .. } if !warned => {
                    notes::reply(interrupt::AGAIN);
                    warned = true;
                }
                Part::Interrupt { .. } => return Ok(Line::End),
                Part::End if text.is_empty() => return Ok(Line::End),
                Part::End => return Ok(Line::Text(text)),
            }
        }
    }

    fn line(&mut self, prompt: &str) -> Result<Part> {
        let Some(editor) = &mut self.editor else {
            return Ok(self.pipe.line(prompt)?.map_or(Part::End, Part::Line));
        };
        match editor.readline(prompt) {
            Ok(line) => Ok(Part::Line(line)),
            Err(ReadlineError::Eof) => Ok(Part::End),
            Err(ReadlineError::Interrupted) => {
                let typed = editor.helper().is_some_and(|watch| watch.0.get());
                Ok(Part::Interrupt { typed })
            }
            Err(error) => Err(Failure::Message(format!(
                "reading from the terminal: {error}"
            ))),
        }
    }
}

/// The line editor; none where the terminal is of no use to it.
fn editor() -> Option<Editor<Watch, FileHistory>> {
    let config = Config::builder()
        .behavior(Behavior::PreferTerm)
        .auto_add_history(true)
        .build();
    let mut editor = Editor::with_config(config).ok()?;
    editor.set_helper(Some(Watch(Cell::new(false))));
    Some(editor)
}

/// Knows whether something is typed in the line, which an interrupted editor does not say.
struct Watch(Cell<bool>);

impl Hinter for Watch {
    type Hint = String;

    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.0.set(!line.is_empty());
        None
    }
}

impl Completer for Watch {
    type Candidate = String;
}

impl Highlighter for Watch {}

impl Validator for Watch {}

impl Helper for Watch {}

/// stdin without an editor: a pipe or a file, or a terminal that knows no commands.
#[derive(Default)]
struct Pipe {
    begun: bool,
    /// Lines of a text in UTF-16, which is read to its end at once.
    lines: Option<VecDeque<String>>,
}

impl Pipe {
    fn line(&mut self, prompt: &str) -> Result<Option<String>> {
        let person = interactive();
        if person {
            interrupt::prompted(); // before the prompt is seen: Ctrl-C may answer it at once
            notes::prompt(prompt);
        } else if !std::mem::replace(&mut self.begun, true) {
            self.begin()?;
        }
        if let Some(lines) = &mut self.lines {
            return Ok(lines.pop_front());
        }
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_until(b'\n', &mut bytes);
        let count = read.map_err(|error| Failure::io("stdin", error))?;
        interrupt::rest();
        let line = files::decode(bytes, Path::new("stdin"))?;
        Ok((count > 0).then(|| line.trim_end_matches(['\n', '\r']).to_owned()))
    }

    /// Reads all of a text whose lines do not end in a byte of their own.
    fn begin(&mut self) -> Result {
        let mut stdin = io::stdin().lock();
        let start = stdin
            .fill_buf()
            .map_err(|error| Failure::io("stdin", error))?;
        if !matches!(start, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let read = stdin.read_to_end(&mut bytes);
        read.map_err(|error| Failure::io("stdin", error))?;
        let text = files::decode(bytes, Path::new("stdin"))?;
        self.lines = Some(text.lines().map(str::to_owned).collect());
        Ok(())
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
