//! Prompts of models that score texts by a query.

use std::ops::Range;

use super::Tokenizer;
use crate::{Error, ModelFile, Result, Unsupported, file::Metadata};

/// Places of a template, and what goes there.
const QUERY: &str = "{query}";
const DOCUMENT: &str = "{document}";

/// How a query and a text become one prompt: by the file's template, or as its tokenizer puts two texts together.
#[derive(Debug, Clone)]
pub struct RankPrompt {
    template: Option<String>,
    /// Why no prompt is made.
    refused: Option<String>,
}

impl ModelFile {
    /// How a query and a text become one prompt.
    ///
    /// # Errors
    /// [`Error::BadFile`] where the template is no text.
    pub fn rank_prompt(&self) -> Result<RankPrompt> {
        RankPrompt::from_metadata(self.metadata())
    }
}

impl RankPrompt {
    /// The template in `tokenizer.chat_template.rerank`, if there is one.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it is no text.
    pub fn from_metadata(metadata: &Metadata) -> Result<RankPrompt> {
        let refused = metadata.text("lantern.pairs.refused")?;
        let template = metadata.text("tokenizer.chat_template.rerank")?;
        Ok(RankPrompt {
            template: template.map(str::to_owned),
            refused: refused.map(str::to_owned),
        })
    }

    /// Ids of a query and a text. Special tokens in them are text.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the model wants more than ids; those of the tokenizer.
    pub fn encode(&self, tokenizer: &Tokenizer, query: &str, text: &str) -> Result<Vec<u32>> {
        if let Some(message) = &self.refused {
            return Err(Error::unsupported(Unsupported::Setting, message.clone()));
        }
        let Some(template) = &self.template else {
            return tokenizer.encode_pair(query, text);
        };
        let (prompt, given) = filled(template, query, text);
        let marks = tokenizer.control_marks(&prompt).into_iter();
        let within = |mark: &Range<usize>| {
            let mut given = given.iter();
            given.any(|given| mark.start < given.end && given.start < mark.end)
        };
        let literal: Vec<_> = marks.filter(within).collect();
        tokenizer.encode_around(&prompt, &literal)
    }
}

/// The template with query and text in their places, and where they are.
fn filled(template: &str, query: &str, text: &str) -> (String, Vec<Range<usize>>) {
    let mut prompt = String::new();
    let mut given = Vec::new();
    let mut rest = template;
    loop {
        let next = [(QUERY, query), (DOCUMENT, text)].map(|(place, value)| {
            let at = rest.find(place);
            at.map(|at| (at, place, value))
        });
        let Some((at, place, value)) = next.into_iter().flatten().min() else {
            break;
        };
        prompt.push_str(&rest[..at]);
        given.push(prompt.len()..prompt.len() + value.len());
        prompt.push_str(value);
        rest = &rest[at + place.len()..];
    }
    prompt.push_str(rest);
    (prompt, given)
}

#[cfg(test)]
mod tests {
    use super::filled;

    #[test]
    fn places_are_filled_once() {
        let (prompt, given) = filled("<q>{query}</q>{document}.", "{document}", "b");
        assert_eq!(prompt, "<q>{document}</q>b.");
        let texts: Vec<_> = given.into_iter().map(|place| &prompt[place]).collect();
        assert_eq!(texts, ["{document}", "b"]);
    }
}
