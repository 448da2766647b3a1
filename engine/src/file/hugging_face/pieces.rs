//! How `tokenizer.json` cuts texts before tokens are joined: its normalizer and pre-tokenizer, as the patterns of a byte-level
//! tokenizer, or as what is done with spaces.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::super::Value;
use crate::{Error, Result, Unsupported, file::short};

/// The words of GPT-2, which `ByteLevel` cuts by itself.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Stands for the space.
const SPACE: &str = "▁";

/// The pre-tokenizer ends in letters that stand for bytes.
pub(super) fn is_byte_level(pre_tokenizer: &Json) -> bool {
    steps(pre_tokenizer, "pretokenizers")
        .iter()
        .any(|step| step["type"] == "ByteLevel")
}

/// The regexes of a byte-level tokenizer, done one after the other: what they match are words, and what lies between.
///
/// # Errors
/// [`Error::Unsupported`] names what is not run here.
pub(super) fn patterns(normalizer: &Json, pre_tokenizer: &Json) -> Result<Vec<String>> {
    for step in steps(normalizer, "normalizers") {
        if step["type"] != "NFC" {
            return Err(unknown("normalizer", step));
        }
    }
    let mut patterns = Vec::new();
    let steps = steps(pre_tokenizer, "pretokenizers");
    for (index, step) in steps.iter().enumerate() {
        let last = index + 1 == steps.len();
        match step["type"].as_str() {
            Some("ByteLevel") if last && step["add_prefix_space"] != true => {
                let cuts = step["use_regex"].as_bool().unwrap_or(true);
                patterns.extend(cuts.then(|| GPT2.to_owned()));
            }
            Some("Digits") => {
                let each = step["individual_digits"] == true;
                patterns.push(if each { r"\p{N}" } else { r"\p{N}+" }.to_owned());
            }
            Some("Split") => patterns.push(split(step)?),
            _ => return Err(unknown("pre-tokenizer", step)),
        }
    }
    Ok(patterns)
}

fn split(step: &Json) -> Result<String> {
    let inverted = step["invert"] == true;
    let isolates = match step["behavior"].as_str() {
        Some("Isolated") => !inverted,
        Some("Removed") => inverted, // what lies between words is dropped: nothing, for patterns that match everything
        _ => false,
    };
    let pattern = &step["pattern"];
    match (pattern["Regex"].as_str(), pattern["String"].as_str()) {
        (Some(regex), None) if isolates => Ok(regex.to_owned()),
        (None, Some(text)) if isolates => {
            let code = |letter| format!(r"\x{{{:X}}}", u32::from(letter));
            Ok(text.chars().map(code).collect())
        }
        _ => Err(Error::unsupported(
            Unsupported::Tokenizer,
            format!(
                "a pre-tokenizer that splits with behavior {} and invert {inverted} is not run here",
                short(&step["behavior"].to_string())
            ),
        )),
    }
}

/// Metadata for a tokenizer in which spaces become a letter of their own.
///
/// # Errors
/// [`Error::Unsupported`] names what is not run here.
pub(super) fn spaces(normalizer: &Json, pre_tokenizer: &Json) -> Result<BTreeMap<String, Value>> {
    let (mut replaced, mut prefix, mut metaspace) = (false, false, None);
    for step in steps(normalizer, "normalizers") {
        match step["type"].as_str() {
            Some("Replace") if step["pattern"]["String"] == " " && step["content"] == SPACE => {
                replaced = true;
            }
            Some("Prepend") if step["prepend"] == SPACE => prefix = true,
            _ => return Err(unknown("normalizer", step)),
        }
    }
    for step in steps(pre_tokenizer, "pretokenizers") {
        match step["type"].as_str() {
            // Cuts at spaces, of which none are left.
            Some("Split") if replaced && step["pattern"]["String"] == " " => {}
            Some("Metaspace") if step["replacement"] == SPACE && step["split"] == false => {
                replaced = true;
                let never = step["add_prefix_space"] == false;
                let scheme = step["prepend_scheme"].as_str().unwrap_or("always");
                metaspace = Some(scheme).filter(|scheme| !never && *scheme != "never");
            }
            _ => return Err(unknown("pre-tokenizer", step)),
        }
    }
    if !replaced || (prefix && metaspace.is_some()) {
        return Err(unknown("normalizer", normalizer));
    }
    let key = "tokenizer.ggml.add_space_prefix".to_owned();
    let mut entries = BTreeMap::from([(key, Value::Bool(prefix || metaspace.is_some()))]);
    if let Some(scheme) = metaspace {
        let scheme = Value::Text(scheme.to_owned());
        entries.insert("lantern.tokenizer.metaspace".to_owned(), scheme);
    }
    Ok(entries)
}

/// The steps of a sequence, or the one there is.
fn steps<'j>(whole: &'j Json, key: &str) -> Vec<&'j Json> {
    match whole {
        Json::Null => vec![],
        _ if whole["type"] == "Sequence" => {
            let all = whole[key].as_array().into_iter().flatten();
            all.flat_map(|step| steps(step, key)).collect()
        }
        one => vec![one],
    }
}

fn unknown(what: &str, step: &Json) -> Error {
    let step = short(&step.to_string());
    Error::unsupported(
        Unsupported::Tokenizer,
        format!("the {what} {step} is not run here"),
    )
}
