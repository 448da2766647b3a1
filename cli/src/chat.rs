//! `lantern chat`: a conversation. What the model has read stays in its cache, so each turn prefills only what is new.

use std::path::Path;

use lantern_engine::{
    ChatTemplate, CompletionOptions, FinishReason, Message, Prompt, Session, Tokenizer,
    answer_room, fit_conversation, template_input,
};
use serde_json::json;

use crate::{
    failure::{Failure, Result},
    files, generate, interrupt,
    lines::{self, Line, Lines},
    load::{self, LoadArgs},
    model::ModelArgs,
    notes,
    numbers::counted,
    output,
    sampling::SamplingArgs,
    shown::Shown,
    terminal,
};

const PROMPT: &str = "> ";
const HELP: &str = "\
/system       show the system message
/system TEXT  set it; /system none removes it
/reset        forget the conversation, keep the system message
/save FILE    write the conversation as JSON
/load FILE    go on with a saved conversation
/help         this list
//TEXT        send a message that begins with /
/exit         leave; so do Ctrl-D, and Ctrl-C twice
A line that ends in \\ goes on in the next one. Ctrl-C stops an answer, or clears the line.";

/// `chat`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The system message
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    system: Option<String>,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    load: LoadArgs,
}

/// A conversation, and the session that has read it.
struct Chat<'a> {
    messages: Vec<Message>,
    session: Session,
    tokenizer: &'a Tokenizer,
    template: &'a ChatTemplate,
    sampling: CompletionOptions,
    /// Set once it was said that the template takes no system message.
    noted: bool,
    /// Tokens that the model was trained for.
    trained: usize,
    /// Oldest messages that the model was last answering without.
    left_out: usize,
}

/// Way to go on after a line: wait for the next one, or leave.
enum Next {
    Line,
    Leave,
}

/// Talks until the lines end.
pub fn run(args: &Args) -> Result {
    args.sampling.validate()?;
    let file = args.load.open(args.model.model.as_deref())?;
    let sampling = args.sampling.completion(&file)?;
    let tokenizer = file.tokenizer()?;
    let missing = || {
        Failure::Message("this model has no chat template; use `lantern run` with it".to_owned())
    };
    let template = file.chat_template()?.ok_or_else(missing)?;
    let loaded = load::load(&file, &args.load)?;
    let session = load::session(&loaded.model, &args.load)?;
    let mut chat = Chat {
        messages: Vec::new(),
        session,
        tokenizer: &tokenizer,
        template: &template,
        sampling,
        noted: false,
        trained: loaded.model.config().context as usize,
        left_out: 0,
    };
    chat.set_system(args.system.as_deref().unwrap_or_default());
    if lines::interactive() {
        notes::note("/help lists the commands");
    }
    chat.talk()
}

impl Chat<'_> {
    fn talk(&mut self) -> Result {
        let mut lines = Lines::open();
        loop {
            interrupt::rest();
            let Line::Text(text) = lines.next(PROMPT)? else {
                return Ok(());
            };
            interrupt::listen(); // a Ctrl-C before the answer begins is meant for the answer, too
            let done = match text.trim() {
                "" => Ok(Next::Line),
                message if message.starts_with("//") => {
                    self.turn(&message[1..]).map(|()| Next::Line)
                }
                command if command.starts_with('/') => self.command(command),
                _ => self.turn(&text).map(|()| Next::Line),
            };
            match done {
                Ok(Next::Line) => {}
                Ok(Next::Leave) => return Ok(()),
                Err(failure) if ends_chat(&failure) => return Err(failure),
                Err(failure) => drop(failure.report()), // this turn failed, the next may go well
            }
        }
    }

    fn command(&mut self, line: &str) -> Result<Next> {
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match name {
            "/help" => notes::reply(HELP),
            "/system" => notes::reply(&self.system(rest)),
            "/reset" => self.messages.retain(|message| message.role == "system"),
            "/save" => save(&self.messages, rest)?,
            "/load" => self.messages = read(rest)?,
            "/exit" | "/quit" => return Ok(Next::Leave),
            _ => {
                return Err(Failure::Message(format!(
                    "there is no {name}; /help lists the commands"
                )));
            }
        }
        Ok(Next::Line)
    }

    /// Shows, sets or removes the system message; says which.
    fn system(&mut self, text: &str) -> String {
        let now = self
            .messages
            .iter()
            .find(|message| message.role == "system");
        let now = now.map(|message| message.content.clone());
        match (text, now) {
            ("" | "none", None) => "there is no system message; /system TEXT sets one".to_owned(),
            ("", Some(now)) => format!("system message: {now}"),
            ("none", Some(_)) => {
                self.set_system("");
                "the system message was removed".to_owned()
            }
            (text, _) => {
                self.set_system(text);
                "the system message was set".to_owned()
            }
        }
    }

    fn set_system(&mut self, text: &str) {
        self.messages.retain(|message| message.role != "system");
        if !text.is_empty() {
            self.messages.insert(0, Message::new("system", text));
        }
    }

    /// One message and its answer. A message that could not be answered is taken back.
    fn turn(&mut self, text: &str) -> Result {
        self.messages.push(Message::new("user", text));
        let answered = self.answer();
        if answered.is_err() {
            self.messages.pop();
        }
        let (message, finish_reason) = answered?;
        self.messages.push(message);
        match finish_reason {
            FinishReason::ContextFull => {
                let more = self.more_room(self.session.context() + 1);
                notes::warning(&format!(
                    "the context is full, and the answer cut off{more}"
                ));
            }
            FinishReason::Aborted if !lines::interactive() => return Err(Failure::Interrupted),
            _ => {}
        }
        Ok(())
    }

    /// The conversation's tokens, without the oldest turns where it has outgrown the context.
    fn tokens(&mut self) -> Result<Vec<u32>> {
        let context = self.session.context();
        let room = answer_room(context, self.sampling.max_tokens);
        let input = template_input(&self.messages);
        let (template, tokenizer) = (self.template, self.tokenizer);
        let special = self.sampling.special;
        let fitted = fit_conversation(template, tokenizer, &input, special, context, room)?;
        let (count, left_out) = (fitted.tokens.len(), fitted.left_out);
        if count >= context {
            let more = self.more_room(count + room);
            return Err(Failure::Message(format!(
                "the message has {count} tokens with what goes around it, and the context holds {context}{more}"
            )));
        }
        if left_out > self.left_out {
            let more = self.more_room(context + 1);
            notes::warning(&format!(
                "the context of {context} tokens is full: the model goes on without the oldest {}{more}",
                counted(left_out, "message")
            ));
        }
        self.left_out = left_out;
        if fitted.system_moved && !std::mem::replace(&mut self.noted, true) {
            notes::note(notes::SYSTEM_MOVED);
        }
        Ok(fitted.tokens)
    }

    /// Advice for a context of at least so many tokens, where the model has one.
    fn more_room(&self, tokens: usize) -> String {
        let context = tokens.next_power_of_two().min(self.trained);
        if context < tokens {
            return format!("; this model was trained for {} at most", self.trained);
        }
        format!("; `lantern chat --context {context}` has more room")
    }

    fn answer(&mut self) -> Result<(Message, FinishReason)> {
        let tokens = self.tokens()?;
        let typing = terminal::hold_typing();
        let mut shown = Shown::default();
        let mut emit = |reasoning: &str, text: &str| shown.piece(reasoning, text);
        let prompt = Prompt {
            reasoning: self.template.reasoning(self.tokenizer, &tokens),
            ..Prompt::from(&tokens[..])
        };
        let answer = generate::answer(
            &mut self.session,
            self.tokenizer,
            prompt,
            &self.sampling,
            &mut emit,
        )?;
        shown.end()?;
        output::line("")?;
        drop(typing);
        if notes::verbose() {
            let (cached, all) = (answer.usage.cached_tokens, answer.usage.prompt_tokens);
            notes::detail(&format!("{cached} of {all} tokens were in the cache"));
            generate::note_timings(&answer);
        }
        Ok((Message::answer(&answer), answer.finish_reason))
    }
}

/// Errors after which no further turn can go well. A script wants to know of any; a person can try again.
fn ends_chat(failure: &Failure) -> bool {
    let lost = matches!(failure, Failure::Engine(error) if matches!(error.code(), "device" | "device-lost"));
    lost || matches!(failure, Failure::BrokenPipe) || !lines::interactive()
}

fn save(messages: &[Message], path: &str) -> Result {
    let path = named(path)?;
    files::write_whole(path, |file| {
        let text = serde_json::to_string_pretty(&json!(messages))
            .map_err(|error| Failure::Message(error.to_string()))?;
        writeln!(file, "{text}").map_err(|error| Failure::io(path, error))
    })?;
    notes::reply(&format!(
        "{} saved to {}",
        counted(messages.len(), "message"),
        path.display()
    ));
    Ok(())
}

fn read(path: &str) -> Result<Vec<Message>> {
    let path = named(path)?;
    let text = files::read_text(path)?;
    let messages = check(&text)
        .map_err(|problem| Failure::Message(format!("{}: {problem}", path.display())))?;
    notes::reply(&format!("{} loaded", counted(messages.len(), "message")));
    Ok(messages)
}

/// A system message first or nowhere, and else users and assistants.
fn check(text: &str) -> std::result::Result<Vec<Message>, String> {
    let messages: Vec<Message> =
        serde_json::from_str(text).map_err(|error| format!("no saved conversation: {error}"))?;
    for (index, message) in messages.iter().enumerate() {
        match message.role.as_str() {
            "system" if index == 0 => {}
            "user" | "assistant" => {}
            role => {
                return Err(format!(
                    "message {} has the role {role}, which cannot be there",
                    index + 1
                ));
            }
        }
    }
    Ok(messages)
}

fn named(path: &str) -> Result<&Path> {
    if path.is_empty() {
        return Err(Failure::Message("name a file after the command".to_owned()));
    }
    Ok(Path::new(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaded_conversations_are_checked() {
        let role = |role: &str| format!(r#"{{"role": "{role}", "content": "x"}}"#);
        assert_eq!(
            check(&format!("[{},{}]", role("system"), role("user")))
                .unwrap()
                .len(),
            2
        );
        for bad in [
            format!("[{},{}]", role("user"), role("system")),
            format!("[{}]", role("boss")),
            "{}".to_owned(),
        ] {
            check(&bad).unwrap_err();
        }
    }
}
