//! Chat templates: the Jinja text in a model file that turns messages into a prompt, in an environment as `transformers` sets it up.
//!
//! A template comes with the model, from anyone: it has a budget and can reach nothing but the messages and the date. What the budget does
//! not see: minijinja compares (`==`) and joins (`~`) values that are nested a hundred thousand times without counting the depth, so a
//! template that is made to can still end the program.

use jiff::{Zoned, civil::DateTime, fmt::strtime};
use minijinja::{
    AutoEscape, Environment, ErrorKind, UndefinedBehavior, syntax::SyntaxConfig, value::Serde,
};

use super::{Tokenizer, python};
use crate::{Error, Result};

/// The budget of one rendering: instructions, and 64 bytes each of what is written. Conversations take thousands; this is about a second
/// of work and 256 MB.
const FUEL: u64 = 4_000_000;

/// The name that templates go by in here.
const NAME: &str = "chat_template";

/// A compiled chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
}

impl ChatTemplate {
    /// Compiles a template.
    ///
    /// # Errors
    /// [`Error::Template`] with the line, where it is no Jinja.
    pub fn new(source: &str) -> Result<ChatTemplate> {
        let mut environment = Environment::new();
        environment.set_syntax(syntax()?);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_fuel(Some(FUEL));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_formatter(|out, _, value| Ok(out.write_str(&python::print(value)?)?));
        environment.add_filter("string", python::print);
        environment.add_filter("tojson", python::tojson);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", |format: &str| {
            strftime(&Zoned::now().datetime(), format)
        });
        environment
            .add_template_owned(NAME, without_generation_marks(source))
            .map_err(|error| at_line(&error))?;
        Ok(ChatTemplate {
            environment,
            source: source.to_owned(),
        })
    }

    /// Stops the template's clock at `now` (`2026-01-15` or `2026-01-15T12:30:00`), so that what it renders does not depend on the day.
    ///
    /// # Errors
    /// [`Error::BadInput`] where that is no date.
    pub fn with_now(mut self, now: &str) -> Result<ChatTemplate> {
        let now: DateTime = now
            .parse()
            .map_err(|error| Error::BadInput(format!("{now:?} is no date: {error}")))?;
        let stopped = move |format: &str| strftime(&now, format);
        self.environment.add_function("strftime_now", stopped);
        Ok(self)
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The prompt. `input`: an object like the `input` of the reference cases (messages, add_generation_prompt, tools, bos_token, …); what
    /// it does not have is undefined, as in Jinja.
    ///
    /// # Errors
    /// [`Error::Template`] with the line, where the template refuses the messages, fails, or works longer than any honest one.
    pub fn render(&self, input: &serde_json::Value) -> Result<String> {
        if !input.is_object() {
            return Err(Error::BadInput(
                "the input of a chat template is an object".to_owned(),
            ));
        }
        self.environment
            .get_template(NAME)
            .and_then(|template| template.render(Serde(input)))
            .map_err(|error| at_line(&error))
    }
}

impl ChatTemplate {
    /// The tokens of [`ChatTemplate::render`]'s prompt. BOS and EOS go to the template by their texts, unless the input has
    /// its own.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`], and those of the tokenizer.
    pub fn tokens(&self, mut input: serde_json::Value, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
        name_special_tokens(&mut input, tokenizer);
        tokenizer.encode_rendered(&self.render(&input)?)
    }
}

/// Tells a template the texts of BOS and EOS, unless the input has its own.
pub fn name_special_tokens(input: &mut serde_json::Value, tokenizer: &Tokenizer) {
    let Some(object) = input.as_object_mut() else {
        return; // the template's own error says that this is no object
    };
    for (name, token) in [
        ("bos_token", tokenizer.bos()),
        ("eos_token", tokenizer.eos()),
    ] {
        if let Some(token) = token {
            let text = String::from_utf8_lossy(&tokenizer.bytes(token)).into_owned();
            object.entry(name).or_insert(text.into());
        }
    }
}

/// Lines that hold only a tag leave nothing behind.
fn syntax() -> Result<SyntaxConfig> {
    SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .map_err(|error| at_line(&error))
}

/// `raise_exception("…")`: how templates refuse.
fn raise_exception(message: &str) -> std::result::Result<(), minijinja::Error> {
    Err(minijinja::Error::new(
        ErrorKind::InvalidOperation,
        message.to_owned(),
    ))
}

/// `strftime_now("%d %B %Y")`.
fn strftime(now: &DateTime, format: &str) -> std::result::Result<String, minijinja::Error> {
    strtime::format(format, *now)
        .map_err(|error| minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

/// The error with the line of the template where it was met.
fn at_line(error: &minijinja::Error) -> Error {
    let what = match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    };
    Error::Template(match error.line() {
        Some(line) => format!("{what} (line {line})"),
        None => what,
    })
}

/// `transformers` has templates mark what the assistant said with `{% generation %} … {% endgeneration %}`, to train on it. The marks print
/// nothing; here they become a condition that always holds, which treats the white space around them alike.
fn without_generation_marks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let Some(end) = tag.find("%}") else {
            rest = tag;
            break;
        };
        let inside = &tag[2..end];
        let word = inside.trim_matches(['-', '+']).trim();
        let instead = match word {
            "generation" => &inside.replace(word, "if true"),
            "endgeneration" => &inside.replace(word, "endif"),
            _ => inside,
        };
        out.extend(["{%", instead, "%}"]);
        rest = &tag[end + 2..];
    }
    out.push_str(rest);
    out
}
