//! `lantern template`: what a chat template makes of messages.

use std::path::PathBuf;

use lantern_engine::ChatTemplate;
use serde_json::Value;

use crate::{
    failure::{Failure, Result},
    files, model, output,
};

/// `template`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model whose template is used: a GGUF file, a folder with safetensors, or user/repo[:file] on the Hugging Face hub
    #[arg(required_unless_present = "template", conflicts_with = "template")]
    model: Option<String>,
    /// A template by itself, in Jinja
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// A JSON object with what the template asks for: messages, add_generation_prompt, tools …; `-` is stdin
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
}

/// Prints the rendered prompt, to the byte.
pub fn run(args: &Args) -> Result {
    let text = files::read_text(&args.input)?;
    let named = |problem: String| Failure::Message(format!("{}: {problem}", args.input.display()));
    let mut input: Value = serde_json::from_str(&text).map_err(|error| named(error.to_string()))?;
    if !input.is_object() {
        return Err(named("this is no JSON object with messages".to_owned()));
    }
    let template = match &args.template {
        Some(path) => ChatTemplate::new(&files::read_text(path)?)?,
        None => of_model(args.model.as_deref(), &mut input)?,
    };
    output::text(&template.render(&input)?)
}

fn of_model(model: Option<&str>, input: &mut Value) -> Result<ChatTemplate> {
    let file = model::open(model)?;
    let missing = || {
        Failure::Message(
            "this model has no chat template; --template FILE renders another one".to_owned(),
        )
    };
    let template = file.chat_template()?.ok_or_else(missing)?;
    lantern_engine::text::name_special_tokens(input, &file.tokenizer()?);
    Ok(template)
}
