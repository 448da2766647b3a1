//! `POST /v1/embeddings`: rows of texts, from models that are made for it and from those that chat.

use std::sync::Arc;

use axum::{Json, response::IntoResponse};
use base64::{Engine, engine::general_purpose::STANDARD};
use lantern_engine::{EmbedOptions, Embedding, Pooling};
use serde_json::{Value, json};

use super::{
    super::{
        App,
        error::ApiError,
        fields::{Table, harmless, needed, taken},
        routes::{Answer, Asked},
        served::Served,
        wanted::Prompt,
    },
    request::prompts,
};

/// Texts of one request at most, as OpenAI has it.
pub const TEXTS_MAX: usize = 2048;

/// Fields of a request.
pub const EMBEDDED: Table = Table {
    lists: &[&[
        taken("model", "string"),
        needed("input", "string|array"),
        taken("encoding_format", "string"),
        taken("dimensions", "integer"),
        harmless("user"),
    ]],
    samples: false,
};

/// Answers with an embedding for each text.
pub async fn embeddings(app: Arc<App>, asked: Asked) -> Answer {
    let mut fields = asked.fields()?;
    let held = app.model(&mut fields).await?;
    let texts = texts(&held, fields.need("input")?)?;
    let in_bytes = match fields.take::<String>("encoding_format")?.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(other) => {
            let message = format!("encoding_format is float or base64, not {other}");
            return Err(ApiError::bad(message, Some("encoding_format")));
        }
    };
    let dimensions = fields.take::<usize>("dimensions")?;
    fields.finish()?;
    if held.model().model().pooling() == Pooling::Rank {
        let message = format!(
            "{} scores texts, at /v1/rerank, and has no embeddings",
            held.name
        );
        return Err(ApiError::bad(message, Some("model")));
    }
    let options = EmbedOptions::default().dimensions(dimensions);
    let all = held.texts.embed(texts, options).await?;
    let tokens: usize = all.iter().map(|one| one.tokens).sum();
    let data: Vec<Value> = all
        .iter()
        .enumerate()
        .map(|(index, one)| json!({"object": "embedding", "index": index, "embedding": vector(one, in_bytes)}))
        .collect();
    let answer = json!({
        "object": "list", "data": data, "model": held.name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    });
    Ok(Json(answer).into_response())
}

/// The tokens of each text of a request.
fn texts(served: &Served, given: Value) -> Result<Vec<Vec<u32>>, ApiError> {
    let wrong = |message: &str| ApiError::bad(message, Some("input"));
    let all = prompts(given).filter(|all| !all.is_empty());
    let all =
        all.ok_or_else(|| wrong("input is neither a text nor tokens, nor a list of those"))?;
    if all.len() > TEXTS_MAX {
        return Err(wrong(&format!("input has more than {TEXTS_MAX} texts")));
    }
    let tokenizer = served.model().tokenizer();
    let tokens = |prompt| match prompt {
        Prompt::Tokens(tokens) => Ok(tokens),
        Prompt::Text(text) => Ok(tokenizer.encode_text(&text)?),
        Prompt::Chat(_) => Err(wrong("input is no conversation")),
    };
    all.into_iter().map(tokens).collect()
}

fn vector(embedding: &Embedding, in_bytes: bool) -> Value {
    if !in_bytes {
        return embedding.values.clone().into();
    }
    let bytes = embedding
        .values
        .iter()
        .flat_map(|value| value.to_le_bytes());
    STANDARD.encode(bytes.collect::<Vec<u8>>()).into()
}
