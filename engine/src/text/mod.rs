//! Text in and out: tokenizer, chat template, and a stream that never cuts a character.
#![allow(missing_docs, unused_variables)]
// TEMPORARY signatures; the real ones are being written in tokenizer.rs, template.rs, stream.rs.
use crate::{Result, file::Metadata};
pub struct Tokenizer;
impl Tokenizer {
    pub fn from_metadata(metadata: &Metadata) -> Result<Tokenizer> { todo!() }
    /// Ids of `text`. `special`: special tokens in the text are parsed, and BOS/EOS added as the file says.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> { todo!() }
    /// Parses special tokens but adds none: for rendered chat templates, which write their own BOS.
    pub fn encode_rendered(&self, text: &str) -> Result<Vec<u32>> { todo!() }
    /// Bytes of one token, as they are appended to a running text (special tokens: their text).
    pub fn bytes(&self, token: u32) -> Vec<u8> { todo!() }
    pub fn is_special(&self, token: u32) -> bool { todo!() }
    /// The token ends a turn or the text (EOS, EOT, <|im_end|> …).
    pub fn is_end(&self, token: u32) -> bool { todo!() }
    pub fn vocabulary(&self) -> usize { todo!() }
    pub fn bos(&self) -> Option<u32> { todo!() }
    pub fn eos(&self) -> Option<u32> { todo!() }
}
pub struct ChatTemplate;
impl ChatTemplate {
    pub fn new(source: &str) -> Result<ChatTemplate> { todo!() }
    /// `input`: an object like the `input` of the reference cases (messages, add_generation_prompt, tools, bos_token, …).
    pub fn render(&self, input: &serde_json::Value) -> Result<String> { todo!() }
}
/// Turns tokens into text: holds back an unfinished UTF-8 sequence and anything that may be the start of a stop string.
pub struct TextStream<'t> { tokenizer: &'t Tokenizer }
impl<'t> TextStream<'t> {
    pub fn new(tokenizer: &'t Tokenizer, stops: Vec<String>) -> TextStream<'t> { TextStream { tokenizer } }
    /// The text that is now certain. After a stop string, nothing more comes.
    pub fn push(&mut self, token: u32) -> String { todo!() }
    pub fn stopped(&self) -> bool { todo!() }
    /// What was held back.
    pub fn finish(&mut self) -> String { todo!() }
}
