//! Text in and out: tokenizer, chat template, and a stream that never cuts a character.
//!
//! Everything is built from the metadata of a model file; what is done, and in which order, is llama.cpp's, because that is what the makers
//! of such files test against. Not here: which tokens a model samples.

mod byte_pairs;
mod pretokenizers;
#[cfg(feature = "templates")]
mod python;
mod sentencepiece;
mod specials;
mod stream;
#[cfg(feature = "templates")]
mod template;
#[cfg(not(feature = "templates"))]
#[path = "no_template.rs"]
mod template;
mod tokenizer;
mod vocabulary;

pub use stream::TextStream;
pub use template::ChatTemplate;
#[cfg(feature = "templates")]
pub use template::name_special_tokens;
pub use tokenizer::Tokenizer;

use crate::{ModelFile, Result, file::Metadata};

impl ModelFile {
    /// The chat template, where the file has one.
    pub fn chat_template(&self) -> Result<Option<ChatTemplate>> {
        ChatTemplate::from_metadata(self.metadata())
    }
}

impl ChatTemplate {
    /// The template in `tokenizer.chat_template`, if there is one.
    ///
    /// # Errors
    /// [`Error::BadFile`](crate::Error::BadFile) where that is no text; as [`ChatTemplate::new`].
    pub fn from_metadata(metadata: &Metadata) -> Result<Option<ChatTemplate>> {
        let source = metadata.text("tokenizer.chat_template")?;
        source.map(ChatTemplate::new).transpose()
    }
}
