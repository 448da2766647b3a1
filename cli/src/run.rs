//! `lantern run`: one prompt in, one text out.

use std::{
    fs,
    io::{self, IsTerminal},
    path::PathBuf,
    sync::mpsc,
    thread,
    time::Duration,
};

use lantern_engine::{
    Completion, FinishReason, Message, ModelFile, Prompt, Reasoning, Tokenizer, ToolCall, Tools,
    template_input,
};
use serde::Serialize;
use serde_json::json;

use crate::{
    failure::{Failure, Result},
    files,
    generate::{self, streaming_bound},
    load::{self, LoadArgs, Loaded},
    model::ModelArgs,
    notes, output,
    sampling::SamplingArgs,
    shown::Shown,
    tools::ToolArgs,
};

/// `run`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The prompt; what comes on stdin, or from -f, is put before it
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// Read the prompt from a file, `-` is stdin
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The system message
    #[arg(
        short,
        long,
        value_name = "TEXT",
        conflicts_with = "raw",
        allow_hyphen_values = true
    )]
    system: Option<String>,
    /// Continue the prompt as it is, without the model's chat template
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    tools: ToolArgs,
    /// Print one JSON object at the end instead of text as it comes
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    load: LoadArgs,
}

#[derive(Serialize)]
struct Report<'a> {
    prompt_tokens: &'a [u32],
    tokens: &'a [u32],
    reasoning_content: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tool_calls: &'a [ToolCall],
    finish_reason: &'static str,
    timings: Timings,
}

#[derive(Serialize)]
struct Timings {
    load_ms: f64,
    prefill_ms: f64,
    decode_ms: f64,
    prefill_tokens_per_second: f64,
    decode_tokens_per_second: f64,
    time_to_first_token_ms: Option<f64>,
    /// Where layers stream: what a token brings from the file, and the speed that this allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    streamed_bytes_per_token: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    streaming_bound_tokens_per_second: Option<f64>,
}

/// Generates.
pub fn run(args: &Args) -> Result {
    let text = prompt_text(args)?;
    args.sampling.validate()?;
    let file = args.load.open(args.model.model.as_deref())?;
    let sampling = args.sampling.completion(&file)?;
    let tokenizer = file.tokenizer()?;
    let given = prompt_tokens(args, &file, &tokenizer, &text, sampling.special)?;
    let tokens = &given.tokens;
    file.admit(tokens, &args.load.options())?;
    let loaded = load::load(&file, &args.load)?;
    let mut session = load::session(&loaded.model, &args.load)?;
    let mut shown = Shown::default();
    let mut emit = |reasoning: &str, text: &str| {
        if args.json {
            Ok(())
        } else {
            shown.piece(reasoning, text)
        }
    };
    let prompt = Prompt {
        reasoning: given.reasoning,
        tools: given.tools.as_ref(),
        ..Prompt::from(&tokens[..])
    };
    let answer = generate::answer(&mut session, &tokenizer, prompt, &sampling, &mut emit)?;
    if args.json {
        output::json(&report(tokens, &answer, &loaded))?;
    } else {
        shown.end()?;
        output::end_of_text(&answer.text)?;
        for call in &answer.tool_calls {
            let (name, arguments) = (&call.name, &call.arguments);
            output::line(&json!({"name": name, "arguments": arguments}).to_string())?;
        }
    }
    generate::note_timings(&answer);
    generate::note_streaming(&answer, &loaded.model);
    if answer.finish_reason == FinishReason::Aborted {
        Err(Failure::Interrupted)
    } else {
        Ok(())
    }
}

/// stdin or the file, then `-p`, on lines of their own.
fn prompt_text(args: &Args) -> Result<String> {
    let first = match &args.file {
        Some(path) => {
            if path.as_os_str() != "-" && something_waits() {
                notes::note("stdin is not read, because -f is given; -f - reads it");
            }
            Some(files::read_text(path)?)
        }
        None if io::stdin().is_terminal() => None,
        None => Some(read_stdin_patiently()?),
    };
    match (first.filter(|text| !text.is_empty()), args.prompt.clone()) {
        (None, None) if args.file.is_none() && io::stdin().is_terminal() => Err(Failure::Usage(
            "no prompt: give one with -p TEXT or -f FILE, pipe one in, or talk with `lantern chat`"
                .to_owned(),
        )),
        (None, None) => Ok(String::new()),
        (Some(text), None) | (None, Some(text)) => Ok(text),
        (Some(first), Some(last)) if first.ends_with('\n') => Ok(first + &last),
        (Some(first), Some(last)) => Ok(format!("{first}\n{last}")),
    }
}

/// stdin to its end. One that is open and says nothing, as of a program that started this one, is no riddle but a note.
fn read_stdin_patiently() -> Result<String> {
    const PATIENCE: Duration = Duration::from_secs(1);
    let (done, waits) = mpsc::channel::<()>();
    thread::spawn(move || {
        if waits.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            notes::note("reading the prompt from stdin; < /dev/null leaves it out");
        }
    });
    let text = files::read_stdin();
    drop(done);
    text
}

/// stdin is a pipe or a file that is not empty: somebody meant it to be read. Where there is no /dev/stdin, nobody knows.
fn something_waits() -> bool {
    #[cfg(unix)]
    let pipe = |there: &fs::Metadata| std::os::unix::fs::FileTypeExt::is_fifo(&there.file_type());
    #[cfg(not(unix))]
    let pipe = |_: &fs::Metadata| false;
    fs::metadata("/dev/stdin")
        .is_ok_and(|there| pipe(&there) || (there.is_file() && there.len() > 0))
}

/// A prompt's tokens, and how the model marks thoughts and calls in its answer.
struct Given {
    tokens: Vec<u32>,
    reasoning: Option<Reasoning>,
    tools: Option<Tools>,
}

fn prompt_tokens(
    args: &Args,
    file: &ModelFile,
    tokenizer: &Tokenizer,
    text: &str,
    special: bool,
) -> Result<Given> {
    let template = if args.raw {
        None
    } else {
        file.chat_template()?
    };
    let Some(template) = template else {
        if args.system.is_some() {
            let problem = "this model has no chat template, so there is no place for a system message; leave -s out";
            return Err(Failure::Message(problem.to_owned()));
        }
        if !args.raw {
            notes::note("this model has no chat template; it continues the prompt as it is");
        }
        note_marks(tokenizer, text, special);
        let mut tokens = tokenizer.encode_prompt(text, special)?;
        if tokens.is_empty() {
            let empty =
                || Failure::Message("the prompt is empty; give one with -p TEXT".to_owned());
            tokens.push(tokenizer.bos().ok_or_else(empty)?);
        }
        args.tools.refuse_without_template()?;
        return Ok(Given {
            tokens,
            reasoning: None,
            tools: None,
        });
    };
    let text = text.trim_end_matches(['\n', '\r']); // the line end of a file or of `echo` is no part of a message
    if text.trim().is_empty() {
        return Err(Failure::Message(
            "the prompt is empty; give one with -p TEXT".to_owned(),
        ));
    }
    let system = args
        .system
        .as_deref()
        .map(|system| Message::new("system", system));
    let messages: Vec<Message> = system
        .into_iter()
        .chain([Message::new("user", text)])
        .collect();
    let (list, tools) = args.tools.of(&template, tokenizer)?;
    let mut input = template_input(&messages);
    if tools.is_some() {
        input["tools"] = list;
    }
    let prompt = template.prompt(input, tokenizer, special)?;
    if prompt.system_moved {
        notes::note(notes::SYSTEM_MOVED);
    }
    let reasoning = template.reasoning(tokenizer, &prompt.tokens);
    Ok(Given {
        tokens: prompt.tokens,
        reasoning,
        tools,
    })
}

/// Says what becomes of control tokens that a prompt without a template writes out.
fn note_marks(tokenizer: &Tokenizer, text: &str, special: bool) {
    let begun = tokenizer.has_bos(text);
    if begun {
        notes::warning("the prompt begins with BOS itself; no second one is put before it");
    }
    let marks = tokenizer.control_marks(text);
    if let (Some(mark), false) = (marks.get(usize::from(begun)), special) {
        notes::note(&format!(
            "{} in the prompt is text; --special takes it and its like for control tokens",
            &text[mark.clone()]
        ));
    }
}

fn report<'a>(prompt_tokens: &'a [u32], answer: &'a Completion, loaded: &Loaded) -> Report<'a> {
    let streaming = loaded.model.streaming();
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let timings = Timings {
        load_ms: ms(loaded.duration),
        prefill_ms: ms(answer.timings.prefill),
        decode_ms: ms(answer.timings.decode),
        prefill_tokens_per_second: answer.prefill_rate(),
        decode_tokens_per_second: answer.decode_rate(),
        time_to_first_token_ms: answer.timings.first_token.map(ms),
        streamed_bytes_per_token: streaming.map(|s| s.bytes_per_pass),
        streaming_bound_tokens_per_second: streaming.as_ref().map(streaming_bound),
    };
    Report {
        prompt_tokens,
        tokens: &answer.tokens,
        reasoning_content: &answer.reasoning,
        text: &answer.text,
        tool_calls: &answer.tool_calls,
        finish_reason: generate::reason_name(answer.finish_reason),
        timings,
    }
}
