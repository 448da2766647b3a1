//! Qwen 3's rerankers (Zhang et al. 2025): published as models of text that say yes or no, and told from others by their name alone,
//! as llama.cpp's converter does. Rows of the head for those two tokens are the classifier that GGUF files of them have.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    super::{Source, TensorInfo, Value},
    computed,
    json::Folder,
    names,
    row::Row,
};
use crate::{Error, Result};

/// Answers that are scored, the first of which is the score.
const ANSWERS: [&str; 2] = ["yes", "no"];

/// Their names, and the first heading of their README.
const NAME: &str = "qwen3-reranker";

/// The prompt of their model card, with the task that it has for those who state none.
const TEMPLATE: &str = "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n<|im_start|>user\n<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n<Query>: {query}\n<Document>: {document}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";

/// The longest README that is looked at.
const README_BYTES_MAX: u64 = 1 << 20;

/// Parts of `tokenizer.json` that have ids of words.
#[derive(Deserialize)]
struct File {
    model: Words,
}

#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    vocab: BTreeMap<String, u32>,
}

/// Whether a folder has a reranker.
fn is_reranker(folder: &Folder, row: &Row) -> bool {
    if row.architecture != "Qwen3ForCausalLM" {
        return false;
    }
    // One that cannot be read says nothing.
    let readme = folder.bytes("README.md", README_BYTES_MAX).ok().flatten();
    let readme = String::from_utf8_lossy(&readme.unwrap_or_default()).to_lowercase();
    let headed = readme
        .lines()
        .any(|line| line.starts_with(&format!("# {NAME}")));
    headed || folder.name().to_lowercase().contains(NAME)
}

/// Adds the classifier and the prompt, where the folder has a reranker.
///
/// # Errors
/// [`Error::BadFile`] where its tokenizer has no such answers, or its head no rows for them.
pub(super) fn read(
    folder: &Folder,
    row: &Row,
    metadata: &mut BTreeMap<String, Value>,
    (tensors, sources): (&mut Vec<TensorInfo>, &mut Vec<Source>),
) -> Result<()> {
    let Some(Value::Text(tokenizer)) = metadata.get("lantern.tokenizer.json") else {
        return Ok(()); // there is no text to score
    };
    if !is_reranker(folder, row) {
        return Ok(());
    }
    let label = folder.label("tokenizer.json");
    let wrong = |message: String| Error::bad_file(message).in_file(&label);
    let words: File = serde_json::from_str(tokenizer).map_err(|error| wrong(error.to_string()))?;
    let named = |name: &str| tensors.iter().find(|tensor| tensor.name == name);
    let head = named(names::HEAD).or_else(|| named(names::EMBEDDING));
    let head = head.expect("an embedding was found before");
    let mut rows = Vec::new();
    for answer in ANSWERS {
        let id = words.model.vocab.get(answer).copied();
        let id = id.filter(|&id| head.shape.get(1).is_some_and(|&rows| u64::from(id) < rows));
        let id = id.ok_or_else(|| {
            wrong(format!(
                "the model is a reranker by its name, and has no token {answer:?} to score by"
            ))
        })?;
        rows.extend(computed::few(&head.rows(id, 1), sources)?);
    }
    let cols = head.shape[0];
    let (classifier, source) = computed::small("cls.output.weight", &rows, sources.len());
    tensors.push(TensorInfo {
        shape: vec![cols, ANSWERS.len() as u64],
        ..classifier
    });
    sources.push(source);
    let key = |name: &str| format!("{}.{name}", row.family);
    let labels = ANSWERS.map(str::to_owned).to_vec();
    metadata.extend([
        (key("pooling_type"), Value::Unsigned(4)),
        (key("classifier.output_labels"), Value::Texts(labels)),
        (
            "tokenizer.chat_template.rerank".to_owned(),
            Value::Text(TEMPLATE.to_owned()),
        ),
    ]);
    Ok(())
}
