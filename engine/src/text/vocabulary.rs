//! The tokens of a model file: their texts, what kind each is, and which of them begin and end a text. Not how text is cut into them.

use std::collections::{BTreeSet, HashMap};

use crate::{
    Error, Result,
    file::{Metadata, short},
};

/// Token id by text.
type Ids<'t> = HashMap<&'t str, u32>;

/// Purpose of a token; GGUF's `tokenizer.ggml.token_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Normal,
    /// Stands for what the vocabulary cannot say.
    Unknown,
    /// Steers the model; parsed out of text only where asked for.
    Control,
    /// Added to the vocabulary by hand; always parsed out of text.
    UserDefined,
    /// One byte, written `<0x0A>`.
    Byte,
    /// Text that no training saw: it fills the vocabulary up.
    Unused,
}

/// Whether a token is put around every text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// Whatever the file says; it is an error where there is no such token.
    Always,
    /// Whatever the file says.
    Never,
    /// This, unless the file says otherwise.
    Unless(bool),
}

/// Tokens that end a turn or a text whatever the metadata says. The list is llama.cpp's.
const ENDS: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// Tokens of code infilling after which nothing of use comes: a key that names one, or else the first of these texts that is a token.
const INFILL_ENDS: &[(&str, &[&str])] = &[
    (
        "tokenizer.ggml.fim_pad_token_id",
        &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
    ),
    (
        "tokenizer.ggml.fim_rep_token_id",
        &[
            "<|fim_repo|>",
            "<|repo_name|>",
            "<fim-repo>",
            "<REPO>",
            "<reponame>",
        ],
    ),
    ("tokenizer.ggml.fim_sep_token_id", &["<|file_sep|>"]),
];

/// Keys of further tokens that end a text.
const END_KEYS: &[&str] = &[
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.eom_token_id",
];

/// Markers inside a gpt-oss turn: the file calls them control tokens, but they are part of what the model says.
pub(super) const SPOKEN: &[&str] = &["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

/// The tokens, and those with a role.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub texts: Vec<String>,
    /// As many as texts.
    pub kinds: Vec<Kind>,
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    /// Token between two texts; that behind a text where the file names no other.
    pub sep: Option<u32>,
    pub add_bos: bool,
    pub add_eos: bool,
    pub add_sep: bool,
    pub ends: BTreeSet<u32>,
}

/// Facts that a tokenizer model takes for granted where the file is silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults {
    /// Keys behind `tokenizer.ggml.` that may name the token before every text, and else its number.
    pub bos: (&'static [&'static str], Option<u32>),
    /// Keys and number of the token behind every text.
    pub eos: (&'static [&'static str], Option<u32>),
    pub add_bos: Added,
    pub add_eos: Added,
}

impl Vocabulary {
    /// One without tokens, for models that come without a tokenizer.
    pub fn none() -> Vocabulary {
        Vocabulary {
            texts: Vec::new(),
            kinds: Vec::new(),
            bos: None,
            eos: None,
            sep: None,
            add_bos: false,
            add_eos: false,
            add_sep: false,
            ends: BTreeSet::new(),
        }
    }

    /// Reads and checks the tokens. An error where they are missing, where two are alike, where lists differ in length, or where a role
    /// is given to a token that is not there.
    pub fn from_metadata(metadata: &Metadata, defaults: Defaults) -> Result<Vocabulary> {
        let texts = texts(metadata)?;
        let ids = index(&texts)?;
        let kinds = kinds(metadata, texts.len())?;
        let role = |key: &str| role(metadata, key, texts.len());
        let first = |(keys, otherwise): (&[&str], Option<u32>)| {
            for key in keys {
                if let Some(id) = role(&format!("tokenizer.ggml.{key}"))? {
                    return Ok(Some(id));
                }
            }
            Ok::<_, Error>(otherwise.filter(|&id| (id as usize) < texts.len()))
        };
        let (bos, eos) = (first(defaults.bos)?, first(defaults.eos)?);
        let sep = role("tokenizer.ggml.seperator_token_id")?.or(eos);
        let added = |name: &str, token, added| added_token(metadata, name, token, added);
        let add_bos = added("bos", bos, defaults.add_bos)?;
        let add_eos = added("eos", eos, defaults.add_eos)?;
        let add_sep = added("sep", sep, Added::Unless(false))?;
        let mut ends: BTreeSet<u32> = BTreeSet::new();
        for key in END_KEYS {
            ends.extend(role(key)?);
        }
        ends.extend(eos);
        for (key, names) in INFILL_ENDS {
            ends.extend(role(key)?.or_else(|| first_of(names, &ids)));
        }
        let mut vocabulary = Vocabulary {
            kinds,
            bos,
            eos,
            sep,
            add_bos,
            add_eos,
            add_sep,
            ends,
            texts: Vec::new(),
        };
        vocabulary.settle_known(&ids);
        drop(ids);
        vocabulary.texts = texts;
        Ok(vocabulary)
    }

    /// The tokens of a Hugging Face folder, an empty text where a number has none. What begins and ends a text is up to its
    /// post-processor.
    #[cfg(feature = "safetensors")]
    pub fn of_folder(
        texts: Vec<String>,
        kinds: Vec<Kind>,
        bos: Option<u32>,
        eos: Option<u32>,
        mut ends: BTreeSet<u32>,
    ) -> Vocabulary {
        let ids: Ids<'_> = texts.iter().map(String::as_str).zip(0..).collect();
        ends.extend(
            INFILL_ENDS
                .iter()
                .filter_map(|(_, names)| first_of(names, &ids)),
        );
        let mut vocabulary = Vocabulary {
            kinds,
            bos,
            eos,
            sep: None,
            add_bos: false,
            add_eos: false,
            add_sep: false,
            ends,
            texts: Vec::new(),
        };
        vocabulary.settle_known(&ids);
        drop(ids);
        vocabulary.texts = texts;
        vocabulary
    }

    /// Gives tokens known by their text the kind and the role that files often forget.
    fn settle_known(&mut self, ids: &Ids<'_>) {
        for id in ENDS.iter().filter_map(|name| ids.get(name).copied()) {
            self.kinds[id as usize] = Kind::Control;
            self.ends.insert(id);
        }
        for id in SPOKEN.iter().filter_map(|name| ids.get(name).copied()) {
            self.kinds[id as usize] = Kind::UserDefined;
        }
        let has = |name: &str| ids.contains_key(name);
        // Where a turn can end in a call, <|end|> only closes one part of it.
        let calls = has("<|return|>") && has("<|call|>");
        if calls || (has("<|flush|>") && (has("<|call|>") || has("<|calls|>"))) {
            self.keep_going(ids.get("<|end|>"), Kind::UserDefined);
        }
        // Gemma 4 has the text </s> as an HTML tag.
        if has("<|tool_response>") {
            self.keep_going(ids.get("</s>"), Kind::Normal);
        }
    }

    /// The token is no end after all, but of this kind.
    fn keep_going(&mut self, id: Option<&u32>, kind: Kind) {
        if let Some(&id) = id {
            self.ends.remove(&id);
            self.kinds[id as usize] = kind;
        }
    }
}

/// The first of these texts that is a token.
fn first_of(names: &[&str], ids: &Ids<'_>) -> Option<u32> {
    names.iter().find_map(|name| ids.get(name).copied())
}

/// `tokenizer.ggml.tokens`; a token without text gets a name, so that it cannot be met in a text.
fn texts(metadata: &Metadata) -> Result<Vec<String>> {
    let key = "tokenizer.ggml.tokens";
    let texts = metadata
        .texts(key)?
        .filter(|texts| !texts.is_empty())
        .ok_or_else(|| Error::bad_file(format!("the file names a tokenizer, but has no {key}")))?;
    if u32::try_from(texts.len()).is_err() {
        return Err(Error::bad_file(format!("{key} has {} tokens", texts.len())));
    }
    let name = |(id, text): (usize, &String)| match text.as_str() {
        "" => format!("[EMPTY_{id}]"),
        text => text.to_owned(),
    };
    Ok(texts.iter().enumerate().map(name).collect())
}

/// Token id by text; an error for two tokens of one text.
fn index(texts: &[String]) -> Result<Ids<'_>> {
    let mut ids = Ids::with_capacity(texts.len());
    for (id, text) in (0..).zip(texts) {
        if let Some(first) = ids.insert(text, id) {
            return Err(Error::bad_file(format!(
                "tokens {first} and {id} of the vocabulary are both {}",
                short(text)
            )));
        }
    }
    Ok(ids)
}

/// `tokenizer.ggml.token_type`; all normal where the file has none.
fn kinds(metadata: &Metadata, tokens: usize) -> Result<Vec<Kind>> {
    let key = "tokenizer.ggml.token_type";
    let Some(types) = metadata.integers(key)? else {
        return Ok(vec![Kind::Normal; tokens]);
    };
    same_length(key, types.len(), tokens)?;
    let kind = |number: &i64| match number {
        2 => Kind::Unknown,
        3 => Kind::Control,
        4 => Kind::UserDefined,
        5 => Kind::Unused,
        6 => Kind::Byte,
        _ => Kind::Normal, // 0 undefined, 1 normal
    };
    Ok(types.iter().map(kind).collect())
}

/// An error unless a list beside the tokens is as long as they are many.
pub(super) fn same_length(key: &str, length: usize, tokens: usize) -> Result<()> {
    if length == tokens {
        return Ok(());
    }
    Err(Error::bad_file(format!(
        "{key} has {length} entries for {tokens} tokens"
    )))
}

/// The token that `key` names. Writers without one leave the key out or write -1.
pub(super) fn role(metadata: &Metadata, key: &str, tokens: usize) -> Result<Option<u32>> {
    match metadata.u32(key)? {
        None | Some(u32::MAX) => Ok(None),
        Some(id) if (id as usize) < tokens => Ok(Some(id)),
        Some(id) => Err(Error::bad_file(format!(
            "{key} is {id}, but the vocabulary has {tokens} tokens"
        ))),
    }
}

/// The token of what cannot be said: the file's, or else the one of this number.
pub(super) fn unknown(
    metadata: &Metadata,
    vocabulary: &Vocabulary,
    otherwise: u32,
) -> Result<Option<u32>> {
    let tokens = vocabulary.texts.len();
    let named = role(metadata, "tokenizer.ggml.unknown_token_id", tokens)?;
    Ok(named.or(Some(otherwise).filter(|&id| (id as usize) < tokens)))
}

/// Whether `token` is put around every text; an error where it is to be, but is not known.
fn added_token(metadata: &Metadata, name: &str, token: Option<u32>, added: Added) -> Result<bool> {
    let key = format!("tokenizer.ggml.add_{name}_token");
    let asked = metadata.bool(&key)?;
    match (added, asked, token) {
        (Added::Never, ..) | (Added::Unless(_), Some(false), _) => Ok(false),
        (Added::Unless(otherwise), None, _) => Ok(otherwise && token.is_some()),
        (Added::Always | Added::Unless(_), _, Some(_)) => Ok(true),
        (Added::Always, _, None) => Err(Error::bad_file(format!(
            "such tokenizers put a token around every text, but the file names none (tokenizer.ggml.{name}_token_id)"
        ))),
        (Added::Unless(_), Some(true), None) => Err(Error::bad_file(format!(
            "{key} is true, but no such token is named"
        ))),
    }
}
