//! OpenAI's endpoints: chats, completions and models, whole and as they come; and llama.cpp's for tokens and templates.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use axum::{
    Json,
    body::Bytes,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt, stream};
use lantern_engine::{Completion, Reasoning};
use serde_json::{Value, json};

use super::{
    App, Shared,
    answers::{self, Said, finish_reason, usage},
    error::ApiError,
    fields::Fields,
    request::{HARMLESS, Wanted, messages, wanted},
    seconds_since_1970,
};

type Answer = Result<Response, ApiError>;

/// The two kinds of completions, which differ in what their answers look like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Chat,
    Text,
}

/// The model.
pub async fn models(app: Shared) -> Json<Value> {
    Json(json!({"object": "list", "data": [{
        "id": app.name, "object": "model", "created": app.created, "owned_by": "lantern",
        "context_length": app.service.context(),
    }]}))
}

/// `POST /v1/chat/completions`.
pub async fn chat(app: Shared, body: Bytes) -> Answer {
    let mut fields = Fields::read(&body)?;
    let (tokens, reasoning) = prompt(&app, &mut fields)?;
    let wanted = wanted(&mut fields, app.service.model().completion_options())?;
    let _ = fields.take::<String>("model")?; // one model answers, whatever it is called
    fields.finish(&HARMLESS)?;
    answer(&app, Kind::Chat, &tokens, reasoning, &wanted).await
}

/// `POST /v1/completions`.
pub async fn complete(app: Shared, body: Bytes) -> Answer {
    let mut fields = Fields::read(&body)?;
    let tokenizer = app.service.model().tokenizer();
    let tokens = match fields.need::<Value>("prompt")? {
        Value::String(text) => tokenizer.encode_prompt(&text, false)?,
        given => serde_json::from_value(given)
            .map_err(|_| ApiError::bad("prompt is neither a text nor tokens", Some("prompt")))?,
    };
    let wanted = wanted(&mut fields, app.service.model().completion_options())?;
    let _ = fields.take::<String>("model")?; // one model answers, whatever it is called
    fields.finish(&HARMLESS)?;
    answer(&app, Kind::Text, &tokens, None, &wanted).await
}

/// The tokens of a conversation, up to where the assistant speaks, and how thoughts are marked.
fn prompt(app: &App, fields: &mut Fields) -> Result<(Vec<u32>, Option<Reasoning>), ApiError> {
    let model = app.service.model();
    let (template, tokenizer) = (model.template()?, model.tokenizer());
    let prompt = template.prompt(conversation(fields)?, tokenizer, false)?;
    let reasoning = template.reasoning(tokenizer, &prompt.tokens);
    Ok((prompt.tokens, reasoning))
}

/// Input of the chat template.
fn conversation(fields: &mut Fields) -> Result<Value, ApiError> {
    let mut input = json!({
        "messages": messages(fields)?,
        "tools": null,
        "documents": null,
        "add_generation_prompt": true,
    });
    let more = fields.take::<serde_json::Map<String, Value>>("chat_template_kwargs")?;
    for (name, value) in more.into_iter().flatten() {
        if input.get(&name).is_some() {
            let message = format!("chat_template_kwargs: {name} has a field of its own");
            return Err(ApiError::bad(message, Some("chat_template_kwargs")));
        }
        input[name] = value;
    }
    Ok(input)
}

async fn answer(
    app: &Arc<App>,
    kind: Kind,
    tokens: &[u32],
    reasoning: Option<Reasoning>,
    wanted: &Wanted,
) -> Answer {
    let said = answers::ask(app, tokens, reasoning, wanted)?;
    let frame = Frame::new(app, kind);
    if wanted.stream {
        return Ok(frame.stream(said, wanted).into_response());
    }
    let all = answers::whole(said, wanted.count).await?;
    Ok(Json(frame.whole(&all)).into_response())
}

/// Frame of the answers to one request.
struct Frame {
    kind: Kind,
    id: String,
    created: u64,
    model: String,
}

impl Frame {
    fn new(app: &App, kind: Kind) -> Frame {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let prefix = match kind {
            Kind::Chat => "chatcmpl",
            Kind::Text => "cmpl",
        };
        let number = NUMBER.fetch_add(1, Relaxed);
        Frame {
            kind,
            id: format!("{prefix}-{:x}-{number}", app.created),
            created: seconds_since_1970(),
            model: app.name.clone(),
        }
    }

    fn around(&self, object: &str, choices: &[Value]) -> Value {
        json!({
            "id": self.id, "object": object, "created": self.created, "model": self.model,
            "choices": choices,
        })
    }

    fn whole(&self, all: &[Completion]) -> Value {
        let choice = |(index, one): (usize, &Completion)| {
            let reason = finish_reason(one.finish_reason);
            let mut choice = json!({"index": index, "finish_reason": reason, "logprobs": null});
            match self.kind {
                Kind::Text => choice["text"] = one.text.clone().into(),
                Kind::Chat => {
                    let mut message = json!({
                        "role": "assistant", "content": one.text, "refusal": null,
                    });
                    if !one.reasoning.is_empty() {
                        message["reasoning_content"] = one.reasoning.clone().into();
                    }
                    choice["message"] = message;
                }
            }
            choice
        };
        let choices: Vec<Value> = all.iter().enumerate().map(choice).collect();
        let object = match self.kind {
            Kind::Chat => "chat.completion",
            Kind::Text => "text_completion",
        };
        let mut whole = self.around(object, &choices);
        whole["usage"] = usage(all);
        whole
    }

    fn piece(&self, choices: &[Value]) -> Value {
        let object = match self.kind {
            Kind::Chat => "chat.completion.chunk",
            Kind::Text => "text_completion",
        };
        self.around(object, choices)
    }

    /// Pieces as they come; after them how many tokens there were, where that is wanted.
    fn stream(
        self,
        said: answers::Answers,
        wanted: &Wanted,
    ) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
        let (count, tells_usage) = (wanted.count, wanted.usage);
        let mut done: Vec<Completion> = Vec::new();
        let mut begun = vec![false; count];
        let said = stream::unfold(said, async |mut said| {
            let next = said.recv().await?;
            Some((next, said))
        });
        let pieces = said.flat_map(move |(index, said)| {
            let mut events = Vec::new();
            if !std::mem::replace(&mut begun[index], true) && self.kind == Kind::Chat {
                let delta = json!({"role": "assistant", "content": ""});
                let first = json!({"index": index, "delta": delta, "finish_reason": null});
                events.push(self.piece(&[first]));
            }
            match said {
                Said::Piece { text, reasoning } => {
                    if let Some(choice) = self.said(index, text, reasoning) {
                        events.push(self.piece(&[choice]));
                    }
                }
                Said::Done(Ok(completion)) => {
                    let reason = finish_reason(completion.finish_reason);
                    let mut choice = json!({"index": index, "finish_reason": reason});
                    match self.kind {
                        Kind::Chat => choice["delta"] = json!({}),
                        Kind::Text => choice["text"] = "".into(),
                    }
                    events.push(self.piece(&[choice]));
                    done.push(completion);
                    if done.len() == count && tells_usage {
                        let mut last = self.piece(&[]);
                        last["usage"] = usage(&done);
                        events.push(last);
                    }
                }
                Said::Done(Err(error)) => events.push(error.body()),
            }
            let mut events: Vec<Event> = events
                .iter()
                .map(|event| Event::default().data(event.to_string()))
                .collect();
            if done.len() == count {
                events.push(Event::default().data("[DONE]"));
            }
            stream::iter(events.into_iter().map(Ok))
        });
        Sse::new(pieces).keep_alive(KeepAlive::default())
    }

    fn said(&self, index: usize, text: String, reasoning: String) -> Option<Value> {
        let mut choice = json!({"index": index, "finish_reason": null});
        if self.kind == Kind::Text {
            choice["text"] = text.clone().into();
            return (!text.is_empty()).then_some(choice);
        }
        let mut delta = serde_json::Map::new();
        if !reasoning.is_empty() {
            delta.insert("reasoning_content".into(), reasoning.into());
        }
        if !text.is_empty() {
            delta.insert("content".into(), text.into());
        }
        let says = !delta.is_empty();
        choice["delta"] = delta.into();
        says.then_some(choice)
    }
}

/// `POST /tokenize`: `{"content": TEXT}` to `{"tokens": […]}`, as llama.cpp's server has it.
pub async fn tokenize(app: Shared, body: Bytes) -> Answer {
    let mut fields = Fields::read(&body)?;
    let text: String = fields.need("content")?;
    let special = fields.take("add_special")?.unwrap_or(false);
    fields.finish(&[])?;
    let tokenizer = app.service.model().tokenizer();
    let tokens = if special {
        tokenizer.encode_text(&text)?
    } else {
        tokenizer.encode_within(&text)?
    };
    Ok(Json(json!({"tokens": tokens})).into_response())
}

/// `POST /detokenize`: `{"tokens": […]}` to `{"content": TEXT}`.
pub async fn detokenize(app: Shared, body: Bytes) -> Answer {
    let mut fields = Fields::read(&body)?;
    let tokens: Vec<u32> = fields.need("tokens")?;
    fields.finish(&[])?;
    let text = app.service.model().tokenizer().decode(&tokens);
    Ok(Json(json!({"content": text})).into_response())
}

/// `POST /apply-template`: `{"messages": […]}` to `{"prompt": TEXT}`.
pub async fn apply_template(app: Shared, body: Bytes) -> Answer {
    let mut fields = Fields::read(&body)?;
    let (tokens, _) = prompt(&app, &mut fields)?;
    fields.finish(&HARMLESS)?;
    let text = app.service.model().tokenizer().decode(&tokens);
    Ok(Json(json!({"prompt": text})).into_response())
}
