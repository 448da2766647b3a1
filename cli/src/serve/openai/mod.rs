//! OpenAI's endpoints: chats and completions, whole and as they come; models and embeddings.

mod embeddings;
mod frame;
pub mod request;

use std::sync::Arc;

use axum::{
    Json,
    response::{IntoResponse, sse::Event},
};
use serde_json::{Value, json};

use super::{
    App,
    answers::{self, Said},
    error::ApiError,
    routes::{Answer, Asked},
    served::Held,
    wanted::Wanted,
};
pub use embeddings::{EMBEDDED, embeddings};
use frame::Frame;

/// The two kinds of completions, which differ in what their answers look like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Chat,
    Text,
}

/// `GET /v1/models`.
pub fn models(app: &App) -> Answer {
    let loaded = app.models.loaded();
    let names = app.models.names()?;
    let data: Vec<Value> = names.iter().map(|name| listed(name, &loaded)).collect();
    Ok(Json(json!({"object": "list", "data": data})).into_response())
}

/// `GET /v1/models/NAME`.
pub fn model(app: &App, asked: &Asked) -> Answer {
    let name = asked.name.as_deref().unwrap_or_default();
    let names = app.models.names()?;
    if !names.iter().any(|one| one == name) {
        return Err(ApiError::unknown_model(name, &names));
    }
    Ok(Json(listed(name, &app.models.loaded())).into_response())
}

fn listed(name: &str, loaded: &[Held]) -> Value {
    let held = loaded.iter().find(|held| held.name == name);
    let mut listed = json!({
        "id": name, "object": "model", "created": held.map_or(0, |held| held.created),
        "owned_by": "lantern", "loaded": held.is_some(),
    });
    if let Some(held) = held {
        listed["context_length"] = held.context().into();
    }
    listed
}

/// `POST /v1/chat/completions`.
pub async fn chat(app: Arc<App>, asked: Asked) -> Answer {
    let mut fields = asked.fields()?;
    let held = app.model(&mut fields).await?;
    let (wanted, tells_usage) = request::chat(&mut fields, held.advised())?;
    fields.finish()?;
    answer(&held, Kind::Chat, wanted, tells_usage).await
}

/// `POST /v1/completions`.
pub async fn complete(app: Arc<App>, asked: Asked) -> Answer {
    let mut fields = asked.fields()?;
    let held = app.model(&mut fields).await?;
    let (wanted, tells_usage) = request::completion(&mut fields, held.advised())?;
    fields.finish()?;
    answer(&held, Kind::Text, wanted, tells_usage).await
}

async fn answer(held: &Held, kind: Kind, wanted: Wanted, tells_usage: bool) -> Answer {
    let stream = wanted.stream;
    let (answers, prompt_tokens) = answers::ask(held, wanted)?;
    let frame = Frame::new(held, kind, prompt_tokens);
    if !stream {
        let all = answers.whole().await?;
        return Ok(Json(frame.whole(&all)).into_response());
    }
    let mut done = Vec::new();
    let mut left = answers.count();
    let silence = Event::default().comment("");
    Ok(answers.stream(silence, move |number, said| {
        let mut events = Vec::new();
        match said {
            Said::Begun => events.extend(frame.begun(number)),
            Said::Piece(piece) => events.push(frame.said(number, piece)),
            Said::Done(Ok(completion)) => {
                events.push(frame.ended(number, &completion));
                done.push(completion);
                left -= 1;
            }
            Said::Done(Err(error)) => {
                events.push(error.openai());
                left -= 1;
            }
        }
        if left == 0 && tells_usage {
            events.push(frame.usage_piece(&done));
        }
        let text = events.iter().map(Value::to_string);
        let last = (left == 0).then(|| "[DONE]".to_owned());
        let all = text.chain(last);
        all.map(|text| Event::default().data(text)).collect()
    }))
}
