//! Answers to a chat or a completion in OpenAI's form.

use lantern_engine::{Completion, FinishReason};
use serde_json::{Map, Value, json};

use super::{
    super::{answers::Piece, calling, served::Served},
    Kind,
};

/// Frame of all answers to one request.
pub struct Frame {
    kind: Kind,
    id: String,
    created: u64,
    model: String,
    prompt_tokens: usize,
}

impl Frame {
    pub fn new(served: &Served, kind: Kind, prompt_tokens: usize) -> Frame {
        let prefix = match kind {
            Kind::Chat => "chatcmpl-",
            Kind::Text => "cmpl-",
        };
        Frame {
            kind,
            id: served.id(prefix),
            created: super::super::seconds_since_1970(),
            model: served.name.clone(),
            prompt_tokens,
        }
    }

    fn around(&self, object: &str, choices: &[Value]) -> Value {
        json!({
            "id": self.id, "object": object, "created": self.created, "model": self.model,
            "choices": choices,
        })
    }

    /// All answers.
    pub fn whole(&self, all: &[Completion]) -> Value {
        let choice = |(index, one): (usize, &Completion)| {
            let reason = finish_reason(one);
            let mut choice = json!({"index": index, "finish_reason": reason, "logprobs": null});
            match self.kind {
                Kind::Text => choice["text"] = one.text.clone().into(),
                Kind::Chat => {
                    let mut message = json!({
                        "role": "assistant", "content": one.text, "refusal": null,
                    });
                    if !one.tool_calls.is_empty() {
                        let calls = one.tool_calls.iter().enumerate();
                        let calls = calls.map(|(at, call)| {
                            let id = self.call_id(index, at);
                            calling::call(
                                &id,
                                &call.name.as_str().into(),
                                &call.arguments.as_str().into(),
                            )
                        });
                        message["tool_calls"] = calls.collect();
                        if one.text.is_empty() {
                            message["content"] = Value::Null;
                        }
                    }
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
        whole["usage"] = self.usage(all);
        whole
    }

    fn piece(&self, choices: &[Value]) -> Value {
        let object = match self.kind {
            Kind::Chat => "chat.completion.chunk",
            Kind::Text => "text_completion",
        };
        self.around(object, choices)
    }

    /// The first piece of an answer, where its kind has one.
    pub fn begun(&self, index: usize) -> Option<Value> {
        let delta = json!({"role": "assistant", "content": ""});
        let first = json!({"index": index, "delta": delta, "finish_reason": null});
        (self.kind == Kind::Chat).then(|| self.piece(&[first]))
    }

    /// A piece of an answer.
    pub fn said(&self, index: usize, piece: Piece) -> Value {
        let (text, reasoning) = match piece {
            Piece::Text { text, reasoning } => (text, reasoning),
            Piece::Call {
                index: at,
                name,
                arguments,
            } => return self.called(index, at, &name, &arguments),
        };
        let mut choice = json!({"index": index, "finish_reason": null});
        if self.kind == Kind::Text {
            choice["text"] = text.into();
            return self.piece(&[choice]);
        }
        let mut delta = Map::new();
        if !reasoning.is_empty() {
            delta.insert("reasoning_content".into(), reasoning.into());
        }
        if !text.is_empty() {
            delta.insert("content".into(), text.into());
        }
        choice["delta"] = delta.into();
        self.piece(&[choice])
    }

    /// A piece of a call. The first has the tool's name, and gives the call an id.
    fn called(&self, index: usize, at: usize, name: &str, arguments: &str) -> Value {
        let call = if name.is_empty() {
            json!({"index": at, "function": {"arguments": arguments}})
        } else {
            json!({
                "index": at, "id": self.call_id(index, at), "type": "function",
                "function": {"name": name, "arguments": arguments},
            })
        };
        let delta = json!({"tool_calls": [call]});
        self.piece(&[json!({"index": index, "delta": delta, "finish_reason": null})])
    }

    fn call_id(&self, index: usize, at: usize) -> Value {
        let own = self.id.rsplit('-').next().unwrap_or_default();
        format!("call_{own}_{index}_{at}").into()
    }

    /// The last piece of an answer.
    pub fn ended(&self, index: usize, completion: &Completion) -> Value {
        let reason = finish_reason(completion);
        let mut choice = json!({"index": index, "finish_reason": reason});
        match self.kind {
            Kind::Chat => choice["delta"] = json!({}),
            Kind::Text => choice["text"] = "".into(),
        }
        self.piece(&[choice])
    }

    /// The last piece of all: how many tokens there were.
    pub fn usage_piece(&self, all: &[Completion]) -> Value {
        let mut last = self.piece(&[]);
        last["usage"] = self.usage(all);
        last
    }

    fn usage(&self, all: &[Completion]) -> Value {
        let sampled: usize = all.iter().map(|one| one.usage.sampled_tokens).sum();
        let cached = all.iter().map(|one| one.usage.cached_tokens).max();
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": sampled,
            "total_tokens": self.prompt_tokens + sampled,
            "prompt_tokens_details": {"cached_tokens": cached.unwrap_or(0).min(self.prompt_tokens)},
        })
    }
}

/// OpenAI's word for why an answer ended.
fn finish_reason(completion: &Completion) -> &'static str {
    match completion.finish_reason {
        FinishReason::Length | FinishReason::ContextFull => "length",
        FinishReason::Stop | FinishReason::Aborted if !completion.tool_calls.is_empty() => {
            "tool_calls"
        }
        FinishReason::Stop | FinishReason::Aborted => "stop",
    }
}
