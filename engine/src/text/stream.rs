//! Tokens to text as they come: whole characters only, and nothing that may turn out to be the start of a stop string.

use super::Tokenizer;

/// Turns tokens into text: holds back an unfinished UTF-8 sequence and anything that may be the start of a stop string.
#[derive(Debug)]
pub struct TextStream<'t> {
    tokenizer: &'t Tokenizer,
    stops: Vec<String>,
    /// Bytes of a character that is not whole yet: 3 at most.
    bytes: Vec<u8>,
    /// Text that ends in the start of a stop string.
    held: String,
    /// The stop string that has appeared.
    stopped: Option<String>,
}

impl<'t> TextStream<'t> {
    /// A stream that ends before the first of `stops` to appear. An empty stop string never does.
    pub fn new(tokenizer: &'t Tokenizer, mut stops: Vec<String>) -> TextStream<'t> {
        stops.retain(|stop| !stop.is_empty());
        TextStream {
            tokenizer,
            stops,
            bytes: Vec::new(),
            held: String::new(),
            stopped: None,
        }
    }

    /// The text that is now certain. After a stop string, nothing more comes. Bytes that are no UTF-8 become U+FFFD, as in
    /// [`Tokenizer::decode`].
    pub fn push(&mut self, token: u32) -> String {
        if self.stopped() {
            return String::new();
        }
        self.bytes.extend(self.tokenizer.bytes(token));
        self.take_whole_characters();
        self.release()
    }

    /// A stop string has appeared.
    pub fn stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// The stop string that has appeared.
    pub(crate) fn stop(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// Returns the text held back, at the end of the tokens. Half a character becomes U+FFFD. Empty after a stop string.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.bytes);
        if self.stopped() {
            return String::new();
        }
        self.held.push_str(&String::from_utf8_lossy(&rest));
        std::mem::take(&mut self.held)
    }

    /// Moves from `bytes` to `held` all but a last sequence that is right so far and could go on.
    fn take_whole_characters(&mut self) {
        let mut taken = 0;
        for chunk in self.bytes.utf8_chunks() {
            let invalid = chunk.invalid();
            self.held.push_str(chunk.valid());
            taken += chunk.valid().len();
            let unfinished = |error: std::str::Utf8Error| {
                error.valid_up_to() == 0 && error.error_len().is_none()
            };
            if std::str::from_utf8(invalid).is_err_and(unfinished)
                && taken + invalid.len() == self.bytes.len()
            {
                break;
            }
            if !invalid.is_empty() {
                self.held.push(char::REPLACEMENT_CHARACTER);
                taken += invalid.len();
            }
        }
        self.bytes.drain(..taken);
    }

    /// The part of `held` that no stop string can still claim.
    fn release(&mut self) -> String {
        let first = self
            .stops
            .iter()
            .filter_map(|stop| Some((self.held.find(stop)?, stop)))
            .min();
        if let Some((at, stop)) = first {
            self.stopped = Some(stop.clone());
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let starts = self
            .stops
            .iter()
            .map(|stop| longest_start(&self.held, stop));
        let claimed = starts.max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - claimed);
        std::mem::replace(&mut self.held, rest)
    }
}

/// Bytes of the longest end of `text` that `stop` starts with.
fn longest_start(text: &str, stop: &str) -> usize {
    let ends = stop.char_indices().map(|(at, _)| at).rev();
    ends.into_iter()
        .find(|&at| text.ends_with(&stop[..at]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::file::{Metadata, Value};

    /// Token n is byte n, as SentencePiece writes bytes, up to 255; then `words`.
    fn tokenizer(words: &[&str]) -> Tokenizer {
        let bytes = (0..=255).map(|byte| format!("<0x{byte:02X}>"));
        let tokens: Vec<String> = bytes
            .chain(words.iter().map(|&word| word.to_owned()))
            .collect();
        let kinds = (0..tokens.len())
            .map(|id| if id < 256 { 6 } else { 1 })
            .collect();
        let mut metadata = Metadata::default();
        let mut set = |key: &str, value| metadata.0.insert(format!("tokenizer.ggml.{key}"), value);
        set("model", Value::Text("llama".to_owned()));
        set("scores", Value::Floats(vec![0.0; tokens.len()]));
        set("token_type", Value::Integers(kinds));
        set("tokens", Value::Texts(tokens));
        Tokenizer::from_metadata(&metadata).unwrap()
    }

    /// Texts that each push gives, then the rest.
    fn stream(tokens: &[u32], words: &[&str], stops: &[&str]) -> Vec<String> {
        let tokenizer = tokenizer(words);
        let mut stream = TextStream::new(&tokenizer, stops.iter().map(|&s| s.to_owned()).collect());
        let mut texts: Vec<String> = tokens.iter().map(|&token| stream.push(token)).collect();
        texts.push(stream.finish());
        texts
    }

    #[test]
    fn a_split_emoji_comes_when_it_is_whole() {
        let bytes = "🦙".bytes().map(u32::from).collect::<Vec<_>>();
        assert_eq!(stream(&bytes, &[], &[]), ["", "", "", "🦙", ""]);
        assert_eq!(stream(&bytes[..2], &[], &[]), ["", "", "\u{FFFD}"]);
    }

    #[test]
    fn bytes_that_are_no_utf8_become_replacement_characters_at_once() {
        assert_eq!(stream(&[0xFF, 256], &["ok"], &[]), ["\u{FFFD}", "ok", ""]);
        assert_eq!(
            stream(&[0xF0, 0x9F, 256], &["ok"], &[]),
            ["", "", "\u{FFFD}ok", ""]
        );
        assert_eq!(
            stream(&[0xE2, 0xE2, 0x82, 0xAC], &[], &[]),
            ["", "\u{FFFD}", "", "€", ""]
        );
    }

    #[test]
    fn a_stop_string_is_found_across_tokens() {
        let words = ["one EN", "D two", " more"];
        assert_eq!(
            stream(&[256, 257, 258], &words, &["END"]),
            ["one ", "", "", ""]
        );
    }

    #[test]
    fn the_start_of_a_stop_string_is_released_when_it_goes_on_otherwise() {
        let words = ["a EN", "EN", "x"];
        assert_eq!(
            stream(&[256, 257, 258], &words, &["END"]),
            ["a ", "EN", "ENx", ""]
        );
        assert_eq!(stream(&[256], &words, &["END"]), ["a ", "EN"]);
    }

    #[test]
    fn a_stop_string_that_begins_again_within_itself_is_found() {
        assert_eq!(
            stream(&[256, 257], &["aab", "aac|"], &["aabaac"]),
            ["", "", ""]
        );
        assert_eq!(
            stream(&[256, 257, 258], &["xaab", "aab", "aac|"], &["aabaac"]),
            ["x", "aab", "", ""]
        );
    }

    #[test]
    fn the_first_of_several_stop_strings_wins_and_an_empty_one_never() {
        assert_eq!(
            stream(&[256], &["one two three"], &["three", "", "two"]),
            ["one ", ""]
        );
        let tokenizer = tokenizer(&["a b"]);
        let mut stream = TextStream::new(&tokenizer, vec![" ".to_owned()]);
        assert_eq!((stream.push(256), stream.stopped()), ("a".to_owned(), true));
        assert_eq!(
            (stream.push(256), stream.finish()),
            (String::new(), String::new())
        );
    }

    #[test]
    fn ids_that_are_no_token_say_nothing() {
        assert_eq!(stream(&[9999, 256], &["a"], &[]), ["", "a", ""]);
    }

    proptest! {
        #[test]
        fn any_tokens_stream_to_what_they_decode_to(tokens in prop::collection::vec(0u32..262, 0..40)) {
            let words = ["é", "\u{1F999}", "a", "▁", "▁END", "日本"];
            prop_assert_eq!(stream(&tokens, &words, &[]).concat(), tokenizer(&words).decode(&tokens));
        }

        #[test]
        fn a_stream_ends_where_its_stop_string_begins(tokens in prop::collection::vec(256u32..260, 0..40), stop in "[ab]{1,4}") {
            let words = ["a", "b", "ab", "ba"];
            let text = tokenizer(&words).decode(&tokens);
            let expected = text.split(&stop).next().unwrap();
            prop_assert_eq!(stream(&tokens, &words, &[&stop]).concat(), expected);
        }
    }
}
