//! llama.cpp's endpoints for tokens and templates.

use std::sync::Arc;

use axum::{Json, body::Bytes, response::IntoResponse};
use serde_json::json;

use super::{
    App,
    fields::Fields,
    openai::request::{HARMLESS, messages},
    routes::Answer,
    wanted::conversation,
};

/// `POST /tokenize`: `{"content": TEXT}` to `{"tokens": […]}`.
pub async fn tokenize(app: Arc<App>, body: Bytes) -> Answer {
    let mut fields = Fields::read(&body)?;
    let held = app.model(&mut fields).await?;
    let text: String = fields.need("content")?;
    let special = fields.take("add_special")?.unwrap_or(false);
    fields.finish(&[])?;
    let tokenizer = held.model().tokenizer();
    let tokens = if special {
        tokenizer.encode_text(&text)?
    } else {
        tokenizer.encode_within(&text)?
    };
    Ok(Json(json!({"tokens": tokens})).into_response())
}

/// `POST /detokenize`: `{"tokens": […]}` to `{"content": TEXT}`.
pub async fn detokenize(app: Arc<App>, body: Bytes) -> Answer {
    let mut fields = Fields::read(&body)?;
    let held = app.model(&mut fields).await?;
    let tokens: Vec<u32> = fields.need("tokens")?;
    fields.finish(&[])?;
    let text = held.model().tokenizer().decode(&tokens);
    Ok(Json(json!({"content": text})).into_response())
}

/// `POST /apply-template`: `{"messages": […]}` to `{"prompt": TEXT}`.
pub async fn apply_template(app: Arc<App>, body: Bytes) -> Answer {
    let mut fields = Fields::read(&body)?;
    let held = app.model(&mut fields).await?;
    let messages = messages(&mut fields)?;
    let input = conversation(&mut fields, &messages)?;
    fields.finish(&HARMLESS)?;
    let (tokens, _) = held.conversation(input)?;
    let text = held.model().tokenizer().decode(&tokens);
    Ok(Json(json!({"prompt": text})).into_response())
}
