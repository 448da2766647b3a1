//! Text in and out: tokenizer, chat template, and a stream that never cuts a character.
//!
//! Everything is built from the metadata of a model file. Of GGUF, what is done, and in which order, is llama.cpp's, because that is what
//! the makers of such files test against, but where the program that a model was trained with does otherwise (`word_piece`, `unigram`
//! and `world` say where); of a Hugging Face folder, it is what its own `tokenizers` crate does. Not here: which tokens a model samples.

mod byte_pairs;
mod calls;
mod charsmap;
mod constrain;
mod constraint;
#[cfg(feature = "templates")]
mod content;
mod gguf_keys;
#[cfg(feature = "grammar")]
mod grammar;
mod guide;
#[cfg(feature = "safetensors")]
mod hugging_face;
#[cfg(not(feature = "safetensors"))]
#[path = "no_hugging_face.rs"]
mod hugging_face;
#[cfg(feature = "templates")]
mod jinja;
mod prefixes;
mod pretokenizers;
mod rank;
mod reasoning;
mod said;
mod sentencepiece;
mod specials;
mod stream;
#[cfg(feature = "templates")]
mod template;
#[cfg(not(feature = "templates"))]
#[path = "no_template.rs"]
mod template;
mod tokenizer;
mod unigram;
mod vocabulary;
mod word_piece;
mod world;

pub use calls::{ToolCall, ToolChoice, Tools};
pub use constraint::{Constraint, Grammar, Next};
pub(crate) use gguf_keys::passed_over;
pub(crate) use guide::{Wanted, guide};
pub(crate) use hugging_face::uses as tokenizer_key_uses;
#[cfg(feature = "safetensors")]
pub use hugging_face::{PARTS, Part};
pub use rank::RankPrompt;
pub use reasoning::Reasoning;
pub(crate) use said::{Apart, CallPiece, Marks, Piece, add_calls};
pub use stream::TextStream;
#[cfg(feature = "templates")]
pub use template::name_special_tokens;
pub use template::{ChatPrompt, ChatTemplate};
pub use tokenizer::Tokenizer;

use crate::{ModelFile, Result, file::Metadata};

impl ModelFile {
    /// The chat template, where the file has one.
    pub fn chat_template(&self) -> Result<Option<ChatTemplate>> {
        ChatTemplate::from_metadata(self.metadata())
    }
}

impl ChatTemplate {
    /// Compiles the template in `tokenizer.chat_template`, and those of `tokenizer.chat_template.NAME` beside it, if there are any.
    /// One without a letter in it is none.
    ///
    /// # Errors
    /// [`Error::BadFile`](crate::Error::BadFile) where that is no text; as [`ChatTemplate::new`].
    pub fn from_metadata(metadata: &Metadata) -> Result<Option<ChatTemplate>> {
        let key = "tokenizer.chat_template";
        let mut templates = vec![("default", metadata.text(key)?)];
        let names = metadata
            .texts("tokenizer.chat_templates")?
            .unwrap_or_default();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        if !names.contains(&"tool_use") {
            names.push("tool_use");
        }
        for name in names {
            templates.push((name, metadata.text(&format!("{key}.{name}"))?));
        }
        let templates: Vec<_> = templates
            .into_iter()
            .filter_map(|(name, source)| {
                Some((name, source.filter(|text| !text.trim().is_empty())?))
            })
            .collect();
        if templates.is_empty() {
            return Ok(None);
        }
        ChatTemplate::several(&templates).map(Some)
    }
}

impl ChatTemplate {
    /// How the model marks thoughts in its answer to a prompt that this template made; none for models that mark none.
    pub fn reasoning(&self, tokenizer: &Tokenizer, prompt: &[u32]) -> Option<Reasoning> {
        Reasoning::of(self.source(), tokenizer, prompt)
    }

    /// Tools in OpenAI's form, `[{"type": "function", "function": {"name": …, "parameters": {…}}}]`, that the answer to a prompt of
    /// this template may call; none where the choice is to call none. `parallel`: an answer may have several calls.
    ///
    /// # Errors
    /// [`Error::BadInput`](crate::Error::BadInput) with the place, where one is none, or the choice is no tool's name.
    pub fn tools(
        &self,
        tokenizer: &Tokenizer,
        tools: &serde_json::Value,
        choice: ToolChoice,
        parallel: bool,
    ) -> Result<Option<Tools>> {
        Tools::of(self.text_with_tools(), tokenizer, tools, (choice, parallel))
    }
}
