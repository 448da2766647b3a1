//! llama.cpp's endpoints for tokens and templates.

use std::sync::Arc;

use axum::{Json, response::IntoResponse};
use serde_json::json;

use super::{
    App,
    fields::{Table, needed, taken},
    openai::request,
    routes::{Answer, Asked},
    wanted,
};

/// Fields of a text.
pub const TEXT: Table = Table {
    lists: &[&[
        taken("model", "string"),
        needed("content", "string"),
        taken("add_special", "boolean"),
    ]],
    samples: false,
};

/// Fields of a conversation.
pub const CONVERSATION: Table = Table {
    lists: &[
        &[taken("model", "string")],
        request::CONVERSATION,
        wanted::CHAT,
    ],
    samples: false,
};

/// Fields of tokens.
pub const TOKENS: Table = Table {
    lists: &[&[taken("model", "string"), needed("tokens", "array")]],
    samples: false,
};

/// `POST /tokenize`: `{"content": TEXT}` to `{"tokens": […]}`.
pub async fn tokenize(app: Arc<App>, asked: Asked) -> Answer {
    let mut fields = asked.fields()?;
    let held = app.model(&mut fields).await?;
    let text: String = fields.need("content")?;
    let special = fields.take("add_special")?.unwrap_or(false);
    fields.finish()?;
    let tokenizer = held.model().tokenizer();
    let tokens = if special {
        tokenizer.encode_text(&text)?
    } else {
        tokenizer.encode_within(&text)?
    };
    Ok(Json(json!({"tokens": tokens})).into_response())
}

/// `POST /detokenize`: `{"tokens": […]}` to `{"content": TEXT}`.
pub async fn detokenize(app: Arc<App>, asked: Asked) -> Answer {
    let mut fields = asked.fields()?;
    let held = app.model(&mut fields).await?;
    let tokens: Vec<u32> = fields.need("tokens")?;
    fields.finish()?;
    let text = held.model().tokenizer().decode(&tokens);
    Ok(Json(json!({"content": text})).into_response())
}

/// `POST /apply-template`: `{"messages": […]}` to `{"prompt": TEXT}`.
pub async fn apply_template(app: Arc<App>, asked: Asked) -> Answer {
    let mut fields = asked.fields()?;
    let held = app.model(&mut fields).await?;
    let conversation = request::conversation(&mut fields)?;
    fields.finish()?;
    let given = held.conversation(conversation)?;
    let text = held.model().tokenizer().decode(&given.tokens);
    Ok(Json(json!({"prompt": text})).into_response())
}
