//! Texts of verbs that compute many at once: arguments, lines of a file, lines of stdin, or one as its tokens.

use std::path::PathBuf;

use lantern_engine::{Error, ModelFile, Tokenizer};

use crate::{
    failure::{Failure, Result},
    files,
    ids::{self, Ids},
    lines,
};

/// Texts of a verb: arguments, the lines of a file, or those of stdin.
#[derive(Debug, clap::Args)]
pub struct TextArgs {
    /// The texts; without any, and without -f, the lines of a piped stdin
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// Read the texts from a file, a line each, `-` is stdin
    #[arg(short, long, value_name = "FILE", conflicts_with = "texts")]
    file: Option<PathBuf>,
    /// One text as its token ids, with commas or spaces between, which nothing is put around
    #[arg(long, value_name = "IDS", value_parser = ids::parse, allow_hyphen_values = true, conflicts_with_all = ["texts", "file"])]
    tokens: Option<Ids>,
}

impl TextArgs {
    /// Whether token ids are given in the place of texts.
    pub fn are_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// The texts; one without a word of its own where token ids are given.
    pub fn texts(&self) -> Result<Vec<String>> {
        if self.tokens.is_some() {
            return Ok(vec![String::new()]);
        }
        if !self.texts.is_empty() {
            return Ok(self.texts.clone());
        }
        let text = match &self.file {
            Some(path) => files::read_text(path)?,
            None if lines::interactive() => {
                return Err(Failure::Usage(
                    "there are no texts: give some, or a file of lines with -f".to_owned(),
                ));
            }
            None => files::read_stdin()?,
        };
        let all: Vec<String> = text.lines().map(str::to_owned).collect();
        if all.is_empty() {
            return Err(Failure::Message(
                "there are no texts: what was read has no line".to_owned(),
            ));
        }
        Ok(all)
    }

    /// The tokens of each of `texts`, as `encode` makes them; or those that are given.
    pub fn tokens(
        &self,
        file: &ModelFile,
        texts: &[String],
        encode: impl Fn(&Tokenizer, &str) -> std::result::Result<Vec<u32>, Error>,
    ) -> Result<Vec<Vec<u32>>> {
        if let Some(Ids(tokens)) = &self.tokens {
            return Ok(vec![tokens.clone()]);
        }
        let tokenizer = file.tokenizer()?;
        let tokens = texts.iter().map(|text| encode(&tokenizer, text));
        Ok(tokens.collect::<std::result::Result<_, _>>()?)
    }
}
