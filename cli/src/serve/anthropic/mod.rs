//! Anthropic's endpoints: messages, whole and as events, and how many tokens they have.

mod frame;
mod request;

use std::sync::Arc;

use axum::{
    Json,
    response::{IntoResponse, sse::Event},
};
use serde_json::json;

use super::{
    App,
    answers::{self, Said},
    routes::{Answer, Asked},
};
use frame::Frame;
pub use request::{COUNTED, TABLE};

/// `POST /v1/messages`.
pub async fn messages(app: Arc<App>, asked: Asked) -> Answer {
    let mut fields = asked.fields()?;
    let held = app.model(&mut fields).await?;
    let (wanted, shown) = request::wanted(&mut fields, held.advised())?;
    fields.finish()?;
    let stream = wanted.stream;
    let (answers, prompt_tokens) = answers::ask(&held, wanted)?;
    let mut frame = Frame::new(&held, prompt_tokens, shown);
    if !stream {
        let all = answers.whole().await?;
        let message = all.first().map(|one| frame.whole(one));
        return Ok(Json(message).into_response());
    }
    let silence = event(&json!({"type": "ping"}));
    Ok(answers.stream(silence, move |_, said| {
        let events = match said {
            Said::Begun => frame.begun(),
            Said::Piece(piece) => frame.said(piece),
            Said::Done(Ok(completion)) => frame.ended(&completion),
            Said::Done(Err(error)) => vec![error.anthropic()],
        };
        events.iter().map(event).collect()
    }))
}

/// An event, which has the name that it says is its type.
fn event(data: &serde_json::Value) -> Event {
    let kind = data["type"].as_str().unwrap_or_default();
    Event::default().event(kind).data(data.to_string())
}

/// `POST /v1/messages/count_tokens`.
pub async fn count_tokens(app: Arc<App>, asked: Asked) -> Answer {
    let mut fields = asked.fields()?;
    let held = app.model(&mut fields).await?;
    let (conversation, ..) = request::conversation(&mut fields)?;
    fields.finish()?;
    let given = held.conversation(conversation)?;
    Ok(Json(json!({"input_tokens": given.tokens.len()})).into_response())
}
