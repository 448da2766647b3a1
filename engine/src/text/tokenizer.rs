//! The tokenizer: text to token ids and back, as a model file describes it. Knows neither templates nor sampling.

use std::{fmt, ops::Range, sync::Arc};

use super::{
    byte_pairs::BytePairs,
    hugging_face::{self, HuggingFace},
    pretokenizers::rule_for,
    sentencepiece::{self, SentencePiece},
    specials::{Part, Special, Specials, Swallows},
    unigram::Unigram,
    vocabulary::{Added, Defaults, Kind, SPOKEN, Vocabulary},
    word_piece::WordPiece,
    world::{self, World},
};
use crate::{
    Error, ModelFile, Result, Unsupported,
    file::{Metadata, short},
};

/// Text to token ids and back. Clones share what they know.
#[derive(Clone)]
pub struct Tokenizer {
    vocabulary: Arc<Vocabulary>,
    method: Arc<Method>,
    /// Tokens found in every text: the user-defined.
    always: Arc<Specials>,
    /// Tokens found where special ones are asked for: those, control tokens and the unknown one.
    asked: Arc<Specials>,
    /// Made where a text is first to be what a grammar says.
    #[cfg(feature = "grammar")]
    pub(super) grammars: Arc<std::sync::OnceLock<Arc<super::grammar::Grammars>>>,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Tokenizer");
        shown.field("tokens", &self.vocab_size());
        shown.finish_non_exhaustive()
    }
}

/// How text is cut: by `tokenizer.ggml.model`, without special tokens, or by a folder's own tokenizer.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one per model")]
enum Method {
    /// The file has no tokenizer: every question is an error.
    None,
    BytePairs(BytePairs),
    SentencePiece(SentencePiece),
    WordPiece(WordPiece),
    Unigram(Unigram),
    World(World),
    /// All of it is done by the crate that a folder's `tokenizer.json` is of, special tokens too.
    HuggingFace(Box<HuggingFace>),
}

impl ModelFile {
    /// The tokenizer; an error where the file has none that is known here.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Tokenizer::from_metadata(self.metadata()).map_err(|error| error.in_file(self.label()))
    }
}

impl Tokenizer {
    /// Builds what a file's metadata describes. A file without a tokenizer gives one whose every question for tokens is an error, so that
    /// such a model still takes ids.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a kind of tokenizer or pre-tokenizer that is not known, [`Error::BadFile`] for a vocabulary that makes
    /// no sense.
    pub fn from_metadata(metadata: &Metadata) -> Result<Tokenizer> {
        if metadata.get(hugging_face::JSON).is_some() {
            let (vocabulary, own) = HuggingFace::new(metadata)?;
            return Tokenizer::build(vocabulary, Method::HuggingFace(Box::new(own)), |_| {
                Swallows::Nothing
            });
        }
        let model = metadata.text("tokenizer.ggml.model")?.unwrap_or("none");
        let vocabulary = |defaults| Vocabulary::from_metadata(metadata, defaults);
        let (vocabulary, method) = match model {
            "none" | "no_vocab" => (Vocabulary::none(), Method::None),
            "gpt2" | "gemma4" | "whitespace" => {
                let name = match metadata.text("tokenizer.ggml.pre")? {
                    Some(name) if model == "gpt2" => name,
                    _ if model == "gpt2" => "default",
                    _ => model,
                };
                let rule = rule_for(name)?;
                let add_bos = rule.bos;
                let vocabulary = vocabulary(Defaults {
                    add_bos,
                    ..BYTE_PAIRS
                })?;
                let method = BytePairs::new(&vocabulary, metadata, rule)?;
                (vocabulary, Method::BytePairs(method))
            }
            "llama" => {
                let vocabulary = vocabulary(SENTENCE_PIECE)?;
                let method = SentencePiece::new(&vocabulary, metadata)?;
                (vocabulary, Method::SentencePiece(method))
            }
            "bert" => {
                let vocabulary = vocabulary(WORD_PIECE)?;
                let method = WordPiece::new(&vocabulary, metadata)?;
                (vocabulary, Method::WordPiece(method))
            }
            "t5" => {
                let vocabulary = vocabulary(UNIGRAM)?;
                let method = Unigram::new(&vocabulary, metadata)?;
                (vocabulary, Method::Unigram(method))
            }
            "rwkv" => {
                let vocabulary = vocabulary(WORLD)?;
                let method = World::new(&vocabulary, metadata)?;
                (vocabulary, Method::World(method))
            }
            other => {
                return Err(Error::unsupported(
                    Unsupported::Tokenizer,
                    format!(
                        "the file's tokenizer (tokenizer.ggml.model) is {}; known are bert, gemma4, gpt2, llama, none, rwkv, t5 and whitespace",
                        short(other)
                    ),
                ));
            }
        };
        Tokenizer::build(vocabulary, method, swallows(metadata)?)
    }

    /// `swallows`: the white space that belongs to a special token of this text.
    fn build(
        vocabulary: Vocabulary,
        method: Method,
        swallows: impl Fn(&str) -> Swallows,
    ) -> Result<Tokenizer> {
        let specials = |kinds: &[Kind]| {
            let specials: Vec<Special<'_>> = (0..)
                .zip(vocabulary.texts.iter().zip(&vocabulary.kinds))
                .filter(|(_, (text, kind))| kinds.contains(kind) && !text.is_empty())
                .map(|(id, (text, _))| Special {
                    id,
                    text,
                    swallows: swallows(text),
                })
                .collect();
            Specials::new(&specials)
        };
        let always = specials(&[Kind::UserDefined])?;
        let asked = specials(&[Kind::UserDefined, Kind::Control, Kind::Unknown])?;
        Ok(Tokenizer {
            vocabulary: Arc::new(vocabulary),
            method: Arc::new(method),
            always: Arc::new(always),
            asked: Arc::new(asked),
            #[cfg(feature = "grammar")]
            grammars: Arc::default(),
        })
    }

    /// Copies the tokenizer for the grammars that it is to have, which must not hold each other.
    #[cfg(feature = "grammar")]
    pub(super) fn for_grammars(&self) -> Tokenizer {
        Tokenizer {
            grammars: Arc::default(),
            ..self.clone()
        }
    }

    /// Ids of `text`. `special`: special tokens in the text are parsed, and BOS and EOS added as the file says.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        if let Method::HuggingFace(own) = &*self.method {
            return own.encode(text, special, special);
        }
        let vocabulary = &self.vocabulary;
        let mut tokens = Vec::new();
        if special && vocabulary.add_bos {
            tokens.extend(vocabulary.bos);
        }
        let specials = if special { &self.asked } else { &self.always };
        self.append(text, specials, &[], &mut tokens)?;
        if special && vocabulary.add_eos {
            tokens.extend(vocabulary.eos);
        }
        Ok(tokens)
    }

    /// Ids of a whole text, with what the file puts before and after one. Special tokens in the text are text.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>> {
        if let Method::HuggingFace(own) = &*self.method {
            return own.encode(text, false, true);
        }
        let mut tokens = self.before()?;
        self.append(text, &self.always, &[], &mut tokens)?;
        tokens.extend(self.vocabulary.eos.filter(|_| self.vocabulary.add_eos));
        Ok(tokens)
    }

    /// Ids of a piece of a text, as it stands: nothing is put before or after it, and special tokens in it are text.
    pub fn encode_within(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_piece(text, false)
    }

    /// Ids of a piece of a text in which marks are the tokens that they name; nothing is put before or after it.
    pub(super) fn encode_marked(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_piece(text, true)
    }

    fn encode_piece(&self, text: &str, marked: bool) -> Result<Vec<u32>> {
        if let Method::HuggingFace(own) = &*self.method {
            return own.encode(text, marked, false);
        }
        let specials = if marked { &self.asked } else { &self.always };
        let mut tokens = Vec::new();
        self.append(text, specials, &[], &mut tokens)?;
        Ok(tokens)
    }

    /// Ids of two texts for a model that compares them, with what the file puts before, between and after them. Special tokens in
    /// the texts are text.
    pub fn encode_pair(&self, first: &str, second: &str) -> Result<Vec<u32>> {
        if let Method::HuggingFace(own) = &*self.method {
            return own.encode_pair(first, second);
        }
        let vocabulary = &self.vocabulary;
        let eos = vocabulary.eos.filter(|_| vocabulary.add_eos);
        let sep = vocabulary.sep.filter(|_| vocabulary.add_sep);
        let mut tokens = self.before()?;
        self.append(first, &self.always, &[], &mut tokens)?;
        tokens.extend(eos.into_iter().chain(sep));
        self.append(second, &self.always, &[], &mut tokens)?;
        tokens.extend(eos);
        Ok(tokens)
    }

    /// Parses special tokens but adds none: for rendered chat templates, which write their own BOS.
    pub fn encode_rendered(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_around(text, &[])
    }

    /// As [`Tokenizer::encode_rendered`], with special tokens that reach over a place of `literal` taken as text.
    pub(super) fn encode_around(&self, text: &str, literal: &[Range<usize>]) -> Result<Vec<u32>> {
        if let (Method::HuggingFace(own), []) = (&*self.method, literal) {
            return own.encode(text, true, false);
        }
        let mut tokens = Vec::new();
        self.append(text, &self.asked, literal, &mut tokens)?;
        Ok(tokens)
    }

    /// Ids of a text that is to be continued: BOS before it as the file says, unless it begins with one, and no EOS.
    /// `special`: special tokens in the text are parsed; else they are text, but for a BOS at the start.
    pub fn encode_prompt(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let before = self.before()?;
        let has_bos = self.begins(text, &before);
        let literal = if special {
            Vec::new()
        } else {
            self.control_marks(text)
        };
        let literal = &literal[usize::from(has_bos).min(literal.len())..];
        let mut tokens = if has_bos { Vec::new() } else { before };
        tokens.extend(self.encode_around(text, literal)?);
        Ok(tokens)
    }

    /// Tokens that the file puts before every text.
    fn before(&self) -> Result<Vec<u32>> {
        match &*self.method {
            Method::HuggingFace(own) => own.before(),
            _ => Ok(self
                .vocabulary
                .bos
                .filter(|_| self.vocabulary.add_bos)
                .into_iter()
                .collect()),
        }
    }

    /// The file wants BOS before every text, and `text` begins with it.
    pub fn has_bos(&self, text: &str) -> bool {
        self.before().is_ok_and(|before| self.begins(text, &before))
    }

    /// Whether the tokens `before` every text begin with BOS, and `text` does too.
    fn begins(&self, text: &str, before: &[u32]) -> bool {
        let bos = self.vocabulary.bos;
        let wanted = before.first().copied() == bos;
        let bos = bos.filter(|_| wanted).and_then(|bos| self.text(bos));
        bos.is_some_and(|bos| text.starts_with(bos))
    }

    /// Places in `text` where the text of a control token, or of the unknown one, is written out. Those of gpt-oss that are
    /// part of what it says steer it nevertheless.
    pub fn control_marks(&self, text: &str) -> Vec<Range<usize>> {
        let places = self.asked.places(text).into_iter();
        let spoken = |token: u32| self.text(token).is_some_and(|text| SPOKEN.contains(&text));
        let control = places.filter(|(token, _)| self.is_special(*token) || spoken(*token));
        control.map(|(_, place)| place).collect()
    }

    /// Tokens that steer or end, and are no text, written out in `text`, and where.
    #[cfg(feature = "grammar")]
    pub(super) fn steering(&self, text: &str) -> Vec<(u32, Range<usize>)> {
        let mut places = self.asked.places(text);
        places.retain(|(token, _)| self.is_special(*token) || self.is_end(*token));
        places
    }

    /// The token of this text, where it is one that is found as a whole.
    pub(super) fn mark(&self, text: &str) -> Option<u32> {
        let places = self.asked.places(text);
        let (token, _) = places
            .first()
            .filter(|(_, place)| *place == (0..text.len()))?;
        Some(*token)
    }

    /// Whether a token that steers, or that a user's text cannot be cut in, has this text.
    pub(super) fn has_mark(&self, text: &str) -> bool {
        self.mark(text).is_some()
    }

    fn append(
        &self,
        text: &str,
        specials: &Specials,
        literal: &[Range<usize>],
        tokens: &mut Vec<u32>,
    ) -> Result<()> {
        if matches!(*self.method, Method::None) {
            return Err(Error::unsupported(
                Unsupported::Tokenizer,
                "the model has no tokenizer: it takes token ids, but no text",
            ));
        }
        let mut starts = true;
        for part in specials.cut(text, literal) {
            match (part, &*self.method) {
                (Part::Token(token), _) => tokens.push(token),
                (Part::Text(text), Method::BytePairs(pairs)) => pairs.encode(text, tokens)?,
                (Part::Text(text), Method::SentencePiece(pieces)) => {
                    pieces.encode(text, starts, tokens);
                }
                (Part::Text(text), Method::WordPiece(pieces)) => pieces.encode(text, tokens)?,
                (Part::Text(text), Method::Unigram(pieces)) => pieces.encode(text, tokens),
                (Part::Text(text), Method::World(world)) => world.encode(text, tokens),
                (Part::Text(text), Method::HuggingFace(own)) => {
                    tokens.extend(own.encode(text, false, false)?);
                }
                (Part::Text(_), Method::None) => {}
            }
            starts = matches!(part, Part::Token(_));
        }
        Ok(())
    }

    /// The text of `tokens`, special ones written out, what is no UTF-8 as U+FFFD. The space that some vocabularies put before every
    /// text is there too: whether one is at the start of a text, only the caller knows.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens.iter().flat_map(|&token| self.bytes(token)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Bytes of one token, as they are appended to a running text (special tokens: their text). None for ids that are no token.
    pub fn bytes(&self, token: u32) -> Vec<u8> {
        let (Some(text), Some(kind)) = (
            self.text(token),
            self.vocabulary.kinds.get(token as usize).copied(),
        ) else {
            return Vec::new();
        };
        match (&*self.method, kind) {
            (Method::HuggingFace(_), Kind::Control) => text.as_bytes().to_vec(),
            (Method::HuggingFace(own), _) => own.bytes(token),
            (_, Kind::Byte) => sentencepiece::byte_value(text)
                .map_or_else(|| text.as_bytes().to_vec(), |byte| vec![byte]),
            (Method::BytePairs(pairs), Kind::Normal | Kind::Unused) => pairs.unescape(text),
            (
                Method::SentencePiece(_) | Method::WordPiece(_) | Method::Unigram(_),
                Kind::Normal | Kind::Unused,
            ) => sentencepiece::unescape(text).into_bytes(),
            (Method::World(_), Kind::Normal) => world::unescape(text).unwrap_or_default(),
            _ => text.as_bytes().to_vec(),
        }
    }

    /// The token as the vocabulary writes it (`Ġthe`, `▁the`, `<0x0A>`).
    pub fn text(&self, token: u32) -> Option<&str> {
        let text = self.vocabulary.texts.get(token as usize)?;
        Some(text.as_str()).filter(|text| !text.is_empty())
    }

    /// The token steers the model and is no part of what it says.
    pub fn is_special(&self, token: u32) -> bool {
        let kind = self.vocabulary.kinds.get(token as usize);
        matches!(kind, Some(Kind::Control | Kind::Unknown))
    }

    /// The token ends a turn or the text (EOS, EOT, `<|im_end|>` …).
    pub fn is_end(&self, token: u32) -> bool {
        self.vocabulary.ends.contains(&token)
    }

    /// The tokens that end a turn or the text.
    pub fn ends(&self) -> impl Iterator<Item = u32> {
        self.vocabulary.ends.iter().copied()
    }

    /// How many tokens there are; 0 for a model without a tokenizer.
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.texts.len()
    }

    /// The token that begins a text.
    pub fn bos(&self) -> Option<u32> {
        self.vocabulary.bos
    }

    /// Texts of special tokens by the names that chat templates have for them: `unk_token`, `image_token`. Only folders say
    /// them.
    pub fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = match &*self.method {
            Method::HuggingFace(own) => Some(own.named()),
            _ => None,
        };
        let all = named.into_iter().flatten();
        all.map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The token that ends a text.
    pub fn eos(&self) -> Option<u32> {
        self.vocabulary.eos
    }
}

const BYTE_PAIRS: Defaults = Defaults {
    bos: (&["bos_token_id"], None),
    eos: (&["eos_token_id"], None),
    add_bos: Added::Unless(false),
    add_eos: Added::Unless(false),
};

const SENTENCE_PIECE: Defaults = Defaults {
    bos: (&["bos_token_id"], Some(1)),
    eos: (&["eos_token_id"], Some(2)),
    add_bos: Added::Unless(true),
    add_eos: Added::Unless(false),
};

/// `[CLS]` and `[SEP]`, whatever their keys; numbers as in BERT's own vocabularies.
const WORD_PIECE: Defaults = Defaults {
    bos: (&["bos_token_id", "cls_token_id"], Some(101)),
    eos: (&["seperator_token_id", "eos_token_id"], Some(102)),
    add_bos: Added::Always,
    add_eos: Added::Always,
};

const UNIGRAM: Defaults = Defaults {
    bos: (&["bos_token_id"], None),
    eos: (&["eos_token_id"], Some(1)),
    add_bos: Added::Unless(false),
    add_eos: Added::Unless(true),
};

const WORLD: Defaults = Defaults {
    bos: (&["bos_token_id"], None),
    eos: (&["eos_token_id"], None),
    add_bos: Added::Never,
    add_eos: Added::Never,
};

/// Special tokens of Phi-3 after which white space stays.
const KEEPS_SPACE: &[&str] = &["<unk>", "<s>", "<|endoftext|>"];

/// White space that belongs to a special token. GGUF has no word for it; llama.cpp goes by the model's name and kind, and so do we.
fn swallows(metadata: &Metadata) -> Result<impl Fn(&str) -> Swallows> {
    let text = |key| Ok::<_, Error>(metadata.text(key)?.unwrap_or("").to_lowercase());
    let (name, pre) = (text("general.name")?, text("tokenizer.ggml.pre")?);
    let architecture = text("general.architecture")?;
    let masks = ["jina-v2-de", "jina-v2-es", "jina-v2-code"].contains(&&*pre)
        || ["nomic-bert-moe", "jina-bert-v3"].contains(&&*architecture);
    let phi3 = name.contains("phi-3") || name.contains("phi3");
    let modern_bert = name.contains("modern-bert");
    Ok(move |token: &str| match token {
        "<mask>" if masks => Swallows::Before,
        "[MASK]" if modern_bert && !masks => Swallows::Before,
        token if phi3 && !masks && !KEEPS_SPACE.contains(&token) => Swallows::After,
        _ => Swallows::Nothing,
    })
}
