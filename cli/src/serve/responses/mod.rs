//! OpenAI's responses, whole and as events. Nothing is stored: each request has its whole conversation.

mod frame;
mod items;
mod request;

use std::sync::Arc;

use axum::{
    Json,
    response::{IntoResponse, sse::Event},
};

use super::{
    App,
    answers::{self, Said},
    routes::{Answer, Asked},
};
use frame::Frame;
pub use request::TABLE;

/// `POST /v1/responses`.
pub async fn responses(app: Arc<App>, asked: Asked) -> Answer {
    let mut fields = asked.fields()?;
    let held = app.model(&mut fields).await?;
    let (wanted, told) = request::wanted(&mut fields, held.advised())?;
    fields.finish()?;
    let stream = wanted.stream;
    let (answers, _) = answers::ask(&held, wanted)?;
    let mut frame = Frame::new(&held, told);
    if !stream {
        let all = answers.whole().await?;
        let response = all.first().map(|one| frame.whole(one));
        return Ok(Json(response).into_response());
    }
    let silence = Event::default().comment("");
    Ok(answers.stream(silence, move |_, said| {
        let events = match said {
            Said::Begun => frame.begun(),
            Said::Piece(piece) => frame.said(piece),
            Said::Done(Ok(completion)) => frame.ended(&completion),
            Said::Done(Err(error)) => frame.failed(&error),
        };
        let event = |data: &serde_json::Value| {
            let kind = data["type"].as_str().unwrap_or_default();
            Event::default().event(kind).data(data.to_string())
        };
        events.iter().map(event).collect()
    }))
}
