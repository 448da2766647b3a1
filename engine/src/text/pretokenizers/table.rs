//! The table of pre-tokenizers: the names that `tokenizer.ggml.pre` has, and the patterns that each stands for. Not how they are
//! followed.
//!
//! The patterns are those of the models' own `tokenizer.json` (the repository is named where llama.cpp's list of checksums has one),
//! as llama.cpp lists them, with one change. Most end in `\s+(?!\S)|\s+`: white space is a word, but leaves its last character to a
//! word that follows. Looking ahead costs a regex its promise to be linear in any text, so [`After::Spaces`] says the same without.

use super::super::vocabulary::Added;

/// A row of the table.
#[derive(Debug)]
pub struct Rule {
    /// Names in `tokenizer.ggml.pre`.
    pub names: &'static [&'static str],
    /// Done one after the other, each to what the ones before have cut.
    pub stages: &'static [Stage],
    /// How words are written for the merges.
    pub spelling: Spelling,
    /// Words that stay whole where they are tokens, whatever the merges say.
    pub whole: Whole,
    /// Whether BOS is put before a text.
    pub bos: Added,
}

/// How words are written for the merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// A letter for each byte (Radford et al. 2019).
    Bytes,
    /// As they are, with U+2581 for the space. What is no token is written as bytes, `<0x0A>`.
    Text,
    /// As they are, without white space.
    Words,
}

/// Words that stay whole where they are tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    None,
    LineEnds,
    All,
}

/// Cuts out what matches; what lies between the matches becomes words too.
#[derive(Debug)]
pub struct Stage {
    pub pattern: &'static str,
    pub after: After,
}

/// Steps that a pattern of a linear regex does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// None.
    Match,
    /// After the pattern, `\s+(?!\S)|\s+` is tried.
    Spaces,
    /// A match is cut in threes, counted from its end.
    Thousands,
}

impl Stage {
    /// The pattern of white space in a stage with [`After::Spaces`], and its number among that stage's patterns.
    pub const SPACES: (&'static str, usize) = (r"\s+", 1);
}

/// Only what matches.
const fn only(pattern: &'static str) -> Stage {
    let after = After::Match;
    Stage { pattern, after }
}

/// Stage that cuts out what matches, and white space.
const fn words(pattern: &'static str) -> Stage {
    let after = After::Spaces;
    Stage { pattern, after }
}

/// Stage that cuts out what matches, in threes from the end.
const fn thousands(pattern: &'static str) -> Stage {
    let after = After::Thousands;
    Stage { pattern, after }
}

const NUMBER: Stage = only(r"\p{N}");
const NUMBERS: Stage = only(r"\p{N}+");
const THREE_NUMBERS: Stage = only(r"\p{N}{1,3}");
const THREE_DIGITS: Stage = only("[0-9][0-9][0-9]");
/// Lines, and what is between them.
const LINES: Stage = only(r"[^\n]+|\n+");
const LINE_ENDS: Stage = only(r"[\r\n]");
const CJK: Stage = only(r"[\u{4E00}-\u{9FA5}\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+");
const CJK_AND_MUCH_ELSE: Stage = only(r"[\u{4E00}-\u{9FA5}\u{0800}-\u{4E00}\u{AC00}-\u{D7FF}]+");

/// Radford et al. 2019, and most since.
const GPT2: Stage = words(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+");
const LLAMA3: Stage = words(concat!(
    r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
));
/// As LLAMA3, digit by digit.
const QWEN2: Stage = words(concat!(
    r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
));
/// As QWEN2, with marks as parts of letters.
const QWEN35: Stage = words(concat!(
    r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+",
    r"|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+"
));
const DEEPSEEK3: Stage = words(concat!(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+"
));
/// Words end where lower case turns to upper case.
const GPT4O: Stage = words(concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+"
));
const TEKKEN: Stage = words(concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+"
));
const FALCON: Stage = only(r"[\p{P}$+<=>^~|`]+");
const DEFAULT: Stage = only(r"[\p{P}$+<=>^~|]+");
/// Letters that have a case, as a Unicode of some years ago had them, in the words of deepseek-llm's tokenizer.json.
const CASED_LETTERS: Stage = only(concat!(
    r"\s?[",
    r"A-Za-z\u{B5}\u{C0}-\u{D6}\u{D8}-\u{F6}\u{F8}-\u{1BA}\u{1BC}-\u{1BF}\u{1C4}-\u{293}\u{295}-\u{2AF}",
    r"\u{370}-\u{373}\u{376}-\u{377}\u{37B}-\u{37D}\u{37F}\u{386}\u{388}-\u{38A}\u{38C}\u{38E}-\u{3A1}",
    r"\u{3A3}-\u{3F5}\u{3F7}-\u{481}\u{48A}-\u{52F}\u{531}-\u{556}\u{10A0}-\u{10C5}\u{13A0}-\u{13F5}",
    r"\u{13F8}-\u{13FD}\u{1C90}-\u{1CBA}\u{1CBD}-\u{1CBF}\u{1D00}-\u{1D2B}\u{1D6B}-\u{1D77}",
    r"\u{1D79}-\u{1D9A}\u{1E00}-\u{1F15}\u{1F18}-\u{1F1D}\u{1F20}-\u{1F45}\u{1F48}-\u{1F4D}",
    r"\u{1F50}-\u{1F57}\u{1F59}\u{1F5B}\u{1F5D}\u{1F5F}-\u{1F7D}\u{1F80}-\u{1FB4}\u{1FB6}-\u{1FBC}\u{1FBE}",
    r"\u{1FC2}-\u{1FC4}\u{1FC6}-\u{1FCC}\u{1FD0}-\u{1FD3}\u{1FD6}-\u{1FDB}\u{1FE0}-\u{1FEC}",
    r"\u{1FF2}-\u{1FF4}\u{1FF6}-\u{1FFC}\u{2102}\u{2107}\u{210A}-\u{2113}\u{2115}\u{2119}-\u{211D}\u{2124}",
    r"\u{2126}\u{2128}\u{212A}-\u{212D}\u{212F}-\u{2134}\u{2139}\u{213C}-\u{213F}\u{2145}-\u{2149}\u{214E}",
    r"\u{2183}-\u{2184}\u{2C00}-\u{2C7B}\u{2C7E}-\u{2CE4}\u{2CEB}-\u{2CEE}\u{2CF2}-\u{2CF3}",
    r"\u{A640}-\u{A66D}\u{A680}-\u{A69B}\u{A722}-\u{A76F}\u{A771}-\u{A787}\u{A78B}-\u{A78E}",
    r"\u{AB70}-\u{ABBF}\u{FB00}-\u{FB06}\u{FB13}-\u{FB17}\u{FF21}-\u{FF3A}\u{FF41}-\u{FF5A}",
    r"\u{10400}-\u{1044F}\u{104B0}-\u{104D3}\u{104D8}-\u{104FB}\u{10C80}-\u{10CB2}\u{10CC0}-\u{10CF2}",
    r"\u{118A0}-\u{118DF}\u{1E900}-\u{1E943}",
    r"]+"
));
/// As QWEN2; punctuation leaves line ends to themselves.
const SEED_CODER: Stage = words(concat!(
    r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+"
));
/// As QWEN2, with a word for each line end. The original's possessive `?+` and `++` match the same.
const BAILING: Stage = words(concat!(
    r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]"
));
/// As QWEN2 without English contractions, so that Turkish suffixes stay attached.
const UFAKZEKA: Stage =
    words(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+");
/// Words of several parts, with spaces between.
const EXAONE_MOE: Stage = words(concat!(
    r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]",
    r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+",
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]"
));
/// As GPT4O, with Chinese characters apart: `tokenization_kimi.py` of moonshotai/Kimi-K2-Base.
const KIMI: Stage = words(concat!(
    r"\p{Han}+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*",
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+",
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+",
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*",
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
));
/// As GPT4O, digit by digit.
const YOUTU: Stage = words(concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?",
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+"
));
const YOUTU_SCRIPTS: Stage = only(concat!(
    r"[\u{AC00}-\u{D7A3}\u{3131}-\u{318E}]+",
    r"|[\u{FF01}\u{2026}\u{201C}\u{201D}\u{2018}\u{2019}\u{2014}\u{FF1A}\u{FF1B}\u{FF0C}\u{3001}-\u{303F}\u{FE30}-\u{FE4F}]+",
    r"|[\u{3105}-\u{312F}]+|[\u{4E00}-\u{9FA5}\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+"
));
/// As DEEPSEEK3, with a word for each line end.
const SPARK: Stage = words(concat!(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
    r"| ?[\p{P}\p{S}]+|[\r\n]"
));
/// Scripts that are written without spaces.
const UNSPACED: Stage = only(concat!(
    r"[\u{4E00}-\u{9FFF}\u{3400}-\u{4DBF}\u{F900}-\u{FAFF}\u{3040}-\u{309F}\u{30A0}-\u{30FF}\u{FF65}-\u{FF9F}",
    r"\u{2F00}-\u{2FDF}\u{0E40}-\u{0E7F}\u{0E80}-\u{0EFF}\u{1780}-\u{17FF}\u{1000}-\u{109F}\u{AA60}-\u{AA7F}",
    r"\u{A9E0}-\u{A9FF}\u{AC00}-\u{D7AF}\u{1100}-\u{11FF}]+"
));
/// BLOOM and the Finnish models after it.
const BLOOM: Stage =
    only(r" ?[^(\s|.,!?\u{2026}\u{3002}\u{FF0C}\u{3001}\u{0964}\u{06D4}\u{060C})]+");

const fn rule(names: &'static [&'static str], stages: &'static [Stage]) -> Rule {
    Rule {
        names,
        stages,
        spelling: Spelling::Bytes,
        whole: Whole::None,
        bos: Added::Unless(false),
    }
}

/// Everything we know how to cut. A name that is in no row is an error, for a wrong cut would go unseen.
pub const RULES: &[Rule] = &[
    rule(&["default"], &[DEFAULT, GPT2, NUMBERS, THREE_DIGITS]),
    rule(
        &[
            "gpt-2",
            "phi-2",
            "mpt",
            "olmo",
            "jais",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "exaone4",
            "trillion",
            "granite-docling",
            "modern-bert",
            "roberta-bpe",
            "jina-v1-en",
            "jina-es",
            "jina-de",
            "jina-v2-es",
            "jina-v2-de",
            "jina-v2-code",
        ],
        &[GPT2],
    ),
    rule(
        &[
            "starcoder",
            "refact",
            "command-r",
            "smollm",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2",
        ],
        &[NUMBER, GPT2],
    ),
    Rule {
        whole: Whole::All,
        bos: Added::Unless(true),
        ..rule(
            &[
                "llama-bpe",
                "llama3",
                "llama-v3",
                "falcon3",
                "falcon-h1",
                "pixtral",
                "midm-2.0",
                "lfm2",
                "jina-v5-nano",
            ],
            &[LLAMA3],
        )
    },
    rule(&["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], &[LLAMA3]),
    rule(
        &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "megrez",
            "stablelm2",
            "hunyuan",
            "grok-2",
            "solar-open",
            "f2llmv2",
        ],
        &[QWEN2],
    ),
    rule(&["qwen35"], &[QWEN35]),
    rule(
        &["deepseek-llm"],
        &[
            LINE_ENDS,
            CASED_LETTERS,
            // :-~ has the letters in it too: words of plain letters stay whole, others are cut once more. So it was trained.
            only(
                r"\s?[!-/:-~\u{FF01}-\u{FF0F}\u{FF1A}-\u{FF5E}\u{2018}-\u{201F}\u{3000}-\u{3002}]+",
            ),
            only(r"\s+$"),
            CJK_AND_MUCH_ELSE,
            NUMBERS,
        ],
    ),
    rule(
        &["deepseek-coder"],
        &[
            LINE_ENDS,
            only(r"\s?\p{L}+"),
            only(r"\s?\p{P}+"),
            CJK_AND_MUCH_ELSE,
            NUMBER,
        ],
    ),
    rule(
        &["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
        &[THREE_NUMBERS, CJK, DEEPSEEK3],
    ),
    rule(&["falcon"], &[FALCON, GPT2, THREE_DIGITS]),
    rule(
        &["gpt-4o", "llama4", "kanana2", "minimax-m2", "talkie"],
        &[GPT4O],
    ),
    Rule {
        whole: Whole::All,
        bos: Added::Unless(true),
        ..rule(&["tekken"], &[TEKKEN])
    },
    // ByteDance-Seed/Seed-Coder-8B-Base, Seed-OSS
    rule(&["seed-coder"], &[SEED_CODER]),
    // inclusionAI/Ling-lite, Ling-mini-base-2.0
    rule(&["bailingmoe", "bailingmoe2", "llada-moe"], &[BAILING]),
    // moonshotai/Kimi-K2-Base, Kimi-Linear
    rule(&["kimi-k2"], &[KIMI]),
    rule(&["laguna"], &[LINES, QWEN2]),
    // LGAI-EXAONE/K-EXAONE-236B-A23B
    rule(&["exaone-moe"], &[EXAONE_MOE]),
    // CohereLabs/tiny-aya-base
    rule(&["tiny_aya", "cohere2moe"], &[thousands(r"\d+\b"), GPT4O]),
    // UW/OLMo2-8B-SuperBPE-t180k: words join across spaces
    rule(&["superbpe"], &[thousands(r"\p{N}+")]),
    // arcee-ai/Trinity-Tokenizer
    rule(&["afmoe"], &[thousands(r"\p{N}+"), UNSPACED, DEEPSEEK3]),
    rule(&["spark2_5"], &[THREE_NUMBERS, CJK, SPARK, NUMBER]),
    rule(&["ufakzeka"], &[UFAKZEKA]),
    // LumiOpen/Poro-34B-chat, bigscience/bloom, TurkuNLP/gpt3-finnish-small
    rule(&["poro-chat", "bloom", "gpt3-finnish"], &[BLOOM]),
    // LumiOpen/Viking-7B
    rule(&["viking"], &[BLOOM, NUMBER]),
    // tencent/Youtu-LLM-2B
    Rule {
        whole: Whole::All,
        ..rule(&["youtu"], &[YOUTU_SCRIPTS, YOUTU])
    },
    // openbmb/MiniCPM5-1B
    Rule {
        whole: Whole::All,
        ..rule(&["minicpm5"], &[THREE_NUMBERS, LLAMA3])
    },
    // Granite's multilingual encoder of 97M
    Rule {
        whole: Whole::All,
        ..rule(&["granite-embed-multi-97m"], &[GPT4O])
    },
    // google/gemma-4, and Granite's multilingual encoder of 311M. Files of the first weeks say that no BOS is to be added.
    Rule {
        spelling: Spelling::Text,
        whole: Whole::LineEnds,
        bos: Added::Always,
        ..rule(&["gemma4", "granite-embed-multi-311m"], &[LINES])
    },
    // sarvamai/sarvam-30b
    Rule {
        spelling: Spelling::Text,
        ..rule(&["sarvam-moe"], &[LINES])
    },
    // jinaai/jina-embeddings-v2-base-zh
    Rule {
        spelling: Spelling::Words,
        ..rule(&["whitespace"], &[only(r"\S+")])
    },
];

/// Words of BERT (Devlin et al. 2018): white space ends them, and punctuation, with all other signs of ASCII, is a word a sign.
pub const BERT: Rule = rule(&[], &[only(r"\s"), only(r"[\p{P}!-/:-@\[-`{-~]")]);
