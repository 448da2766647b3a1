//! Tokenizers of Hugging Face folders: `tokenizer.json` as it stands, run by the crate it was written with, with the tokens that
//! `transformers` adds from the files beside it. Here is what the crate does not do: say which key it does not know, refuse what it
//! would panic at, and give each token's bytes by itself.

mod check;
mod keys;
mod pieces;
mod regexes;

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

use tokenizers::{
    AddedToken, AddedVocabulary, DecoderWrapper, Encoding, Model, NormalizerWrapper, OffsetType,
    PreTokenizer, PreTokenizerWrapper, Tokenizer as Crate,
};

pub(crate) use self::keys::uses;
pub use self::keys::{PARTS, Part};
use self::{check::File, pieces::Pieces, regexes::Searches};
use super::vocabulary::{Kind, Vocabulary};
use crate::{
    Error, Result,
    file::{Metadata, short},
};

/// The metadata that holds a folder's `tokenizer.json`.
pub(super) const JSON: &str = "lantern.tokenizer.json";

/// Tokens at most, those without a text counted: what numbers beyond would take memory for.
const TOKENS_MAX: usize = 1 << 24;

/// Letters of the crate's errors that go into a message.
const MESSAGE_MAX: usize = 300;

/// A folder's tokenizer.
#[derive(Debug)]
pub(super) struct HuggingFace {
    tokenizer: Crate,
    /// The added tokens, for texts in which the special ones are text.
    plain: AddedVocabulary,
    /// Special tokens are text in every text; `split_special_tokens`.
    splits: bool,
    pieces: Pieces,
    searches: Searches,
    /// Texts of special tokens by their names.
    named: BTreeMap<String, String>,
}

impl HuggingFace {
    /// Builds what the metadata of a folder describe.
    ///
    /// # Errors
    /// [`Error::Unsupported`] and [`Error::BadFile`] name the key.
    pub fn new(metadata: &Metadata) -> Result<(Vocabulary, HuggingFace)> {
        let label = metadata.text("lantern.tokenizer.file")?;
        HuggingFace::build(metadata)
            .map_err(|error| error.in_file(label.unwrap_or("tokenizer.json")))
    }

    fn build(metadata: &Metadata) -> Result<(Vocabulary, HuggingFace)> {
        let text = metadata.text(JSON)?.unwrap_or_default();
        let mut file = File::read(text)?;
        let searches = regexes::translate(&mut file)?;
        let wrong = |why: String| Error::bad_file(format!("{why}; download it again"));
        let mut tokenizer = guarded(|| Crate::from_bytes(text)).map_err(wrong)?;
        if searches.changed {
            guarded(|| set_parts(&mut tokenizer, &file)).map_err(wrong)?;
        }
        // Neither is done unless a caller of transformers asks for it.
        let uncut = tokenizer.with_truncation(None).map(|all| {
            all.with_padding(None);
        });
        uncut.map_err(|error| wrong(error.to_string()))?;
        let added = metadata.text("lantern.tokenizer.added")?.unwrap_or("[]");
        let added: Vec<AddedToken> = serde_json::from_str(added)
            .map_err(|error| Error::bad_file(format!("added tokens: {error}")))?;
        guarded(|| tokenizer.add_tokens(added)).map_err(wrong)?;
        let named = metadata.text("lantern.tokenizer.named")?.unwrap_or("{}");
        let named = serde_json::from_str(named)
            .map_err(|error| Error::bad_file(format!("special tokens: {error}")))?;
        let vocabulary = vocabulary(&tokenizer, metadata, &file, &named)?;
        let mut plain = tokenizer.get_added_vocabulary().clone();
        plain.set_encode_special_tokens(true);
        let splits = metadata.bool("lantern.tokenizer.split_special_tokens")?;
        let pieces = Pieces::of(tokenizer.get_decoder())?;
        let own = HuggingFace {
            tokenizer,
            plain,
            splits: splits.unwrap_or(false),
            pieces,
            searches,
            named,
        };
        Ok((vocabulary, own))
    }

    /// Ids of `text`. `parse`: special tokens in it are those tokens; `add`: with what the post-processor puts around.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a text that the vocabulary has no token for, and none for what it does not know either.
    pub fn encode(&self, text: &str, parse: bool, add: bool) -> Result<Vec<u32>> {
        self.searches.check(text)?;
        let ids = guarded(|| {
            let encoding = self.encoding(text, parse)?;
            let encoding = self.tokenizer.post_process(encoding, None, add)?;
            Ok(encoding.get_ids().to_vec())
        });
        ids.map_err(|why| Error::BadInput(format!("tokenizer: {why}")))
    }

    /// Ids of two texts, with what the post-processor puts around them. Special tokens in them are text.
    ///
    /// # Errors
    /// As [`HuggingFace::encode`].
    pub fn encode_pair(&self, first: &str, second: &str) -> Result<Vec<u32>> {
        self.searches.check(first)?;
        self.searches.check(second)?;
        let ids = guarded(|| {
            let (first, second) = (self.encoding(first, false)?, self.encoding(second, false)?);
            let encoding = self.tokenizer.post_process(first, Some(second), true)?;
            Ok(encoding.get_ids().to_vec())
        });
        ids.map_err(|why| Error::BadInput(format!("tokenizer: {why}")))
    }

    /// The tokens of `text` alone.
    fn encoding(&self, text: &str, parse: bool) -> tokenizers::Result<Encoding> {
        let tokenizer = &self.tokenizer;
        let added = if parse && !self.splits {
            tokenizer.get_added_vocabulary()
        } else {
            &self.plain
        };
        let mut parts = added.extract_and_normalize(tokenizer.get_normalizer(), text);
        if let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut parts)?;
        }
        let model = tokenizer.get_model();
        model.tokenize_in_pretokenized(&mut parts, None)?;
        parts.into_encoding(None, 0, OffsetType::None)
    }

    /// Tokens that the post-processor puts before every text.
    ///
    /// # Errors
    /// As [`HuggingFace::encode`].
    pub fn before(&self) -> Result<Vec<u32>> {
        let bare = self.encode("a", false, false)?;
        let mut all = self.encode("a", false, true)?;
        let at = all
            .windows(bare.len().max(1))
            .position(|tokens| tokens == bare);
        all.truncate(at.unwrap_or(0));
        Ok(all)
    }

    /// Texts of special tokens by their names.
    pub fn named(&self) -> &BTreeMap<String, String> {
        &self.named
    }

    /// Bytes of a token that is no special one, as they are appended to a running text.
    pub fn bytes(&self, token: u32) -> Vec<u8> {
        let added = self.tokenizer.get_added_vocabulary();
        let text = added
            .simple_id_to_token(token)
            .or_else(|| self.tokenizer.get_model().id_to_token(token));
        text.map_or_else(Vec::new, |text| self.pieces.bytes(text))
    }
}

/// Gives the tokenizer its parts anew, as their patterns are rewritten.
fn set_parts(tokenizer: &mut Crate, file: &File) -> tokenizers::Result<()> {
    let part = |name: &str| file.rest.get(name).cloned().unwrap_or_default();
    let normalizer: Option<NormalizerWrapper> = serde_json::from_value(part("normalizer"))?;
    let before: Option<PreTokenizerWrapper> = serde_json::from_value(part("pre_tokenizer"))?;
    let decoder: Option<DecoderWrapper> = serde_json::from_value(part("decoder"))?;
    tokenizer.with_normalizer(normalizer)?;
    tokenizer.with_pre_tokenizer(before).with_decoder(decoder);
    Ok(())
}

/// The tokens with what they are for. An error where two have one number, or the model has more than its embedding has rows.
fn vocabulary(
    tokenizer: &Crate,
    metadata: &Metadata,
    file: &File,
    named: &BTreeMap<String, String>,
) -> Result<Vocabulary> {
    let model: Vec<(String, u32)> = tokenizer.get_model().get_vocab().into_iter().collect();
    let added = tokenizer.get_added_tokens_decoder();
    let last = model.iter().map(|(_, id)| *id).max();
    let rows = metadata.u32("lantern.tokenizer.rows")?.unwrap_or(u32::MAX);
    if let Some(last) = last.filter(|&last| last >= rows) {
        return Err(Error::bad_file(format!(
            "there is a token {last}, but the model's embedding has {rows} rows: they are of different models"
        )));
    }
    let last = last.into_iter().chain(added.keys().copied()).max();
    let count = last.map_or(0, |last| last as usize + 1);
    if count > TOKENS_MAX {
        return Err(Error::bad_file(format!(
            "there is a token {}, and at most {TOKENS_MAX} make sense",
            count - 1
        )));
    }
    let mut texts: Vec<Option<String>> = vec![None; count];
    for (text, id) in model {
        if let Some(other) = texts[id as usize].replace(text.clone()) {
            let (first, second) = (short((&other).min(&text)), short((&other).max(&text)));
            return Err(Error::bad_file(format!(
                "tokens {first} and {second} are both {id}"
            )));
        }
    }
    let mut kinds = vec![Kind::Normal; count];
    for (id, token) in added {
        kinds[id as usize] = if token.special {
            Kind::Control
        } else {
            Kind::UserDefined
        };
        texts[id as usize] = Some(token.content);
    }
    let role = |name: &str| tokenizer.token_to_id(named.get(name)?);
    let bos = role("bos_token").or_else(|| file.first_token());
    let mut ends = BTreeSet::new();
    for &id in metadata
        .integers("lantern.tokenizer.ends")?
        .unwrap_or_default()
    {
        let id = u32::try_from(id).ok();
        let known = id.filter(|&id| (id as usize) < count || id < rows);
        ends.insert(known.ok_or_else(|| {
            let ids = metadata.integers("lantern.tokenizer.ends");
            let ids = ids.ok().flatten().unwrap_or_default();
            Error::bad_file(format!(
                "eos_token_id has {ids:?}, but the vocabulary has {count} tokens"
            ))
        })?);
    }
    let eos = role("eos_token").or(ends.first().copied());
    ends.extend(eos);
    let texts = texts.into_iter().map(Option::unwrap_or_default).collect();
    Ok(Vocabulary::of_folder(texts, kinds, bos, eos, ends))
}

/// Runs a part of the crate. It says by panics what no file of its own writing has (a character map that points nowhere), so those are
/// errors here.
fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> std::result::Result<T, String> {
    let cut = |text: &str| text.chars().take(MESSAGE_MAX).collect::<String>();
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| cut(&error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(cut(text.unwrap_or("the tokenizers crate gave up")))
        }
    }
}
