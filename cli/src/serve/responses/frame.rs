//! Responses and their events.

use lantern_engine::{Completion, FinishReason};
use serde_json::{Map, Value, json};

use super::super::{
    answers::Piece,
    blocks::{Block, Blocks, Change, Kind, Step, blocks},
    error::ApiError,
    seconds_since_1970,
    served::Held,
};

/// A response that is put into its form.
pub struct Frame {
    id: String,
    created: u64,
    held: Held,
    /// Fields of the request that are said again.
    told: Map<String, Value>,
    blocks: Blocks,
    output: Vec<Value>,
    number: usize,
}

impl Frame {
    pub fn new(held: &Held, told: Map<String, Value>) -> Frame {
        Frame {
            id: held.id("resp_"),
            created: seconds_since_1970(),
            held: held.clone(),
            told,
            blocks: Blocks::default(),
            output: Vec::new(),
            number: 0,
        }
    }

    fn response(&self, status: &str) -> Value {
        let mut response = json!({
            "id": self.id, "object": "response", "created_at": self.created, "status": status,
            "background": false, "error": null, "incomplete_details": null,
            "model": self.held.name, "output": self.output, "parallel_tool_calls": true,
            "instructions": null, "max_output_tokens": null, "metadata": {}, "temperature": null,
            "top_p": null, "reasoning": null, "previous_response_id": null, "store": false, "tool_choice": "auto", "tools": [],
            "truncation": "disabled", "usage": null, "user": null,
        });
        for (name, value) in &self.told {
            response[name] = value.clone();
        }
        response
    }

    fn ending(&self, completion: &Completion) -> Value {
        let cut = match completion.finish_reason {
            FinishReason::Length | FinishReason::ContextFull => Some("max_output_tokens"),
            FinishReason::Stop | FinishReason::Aborted => None,
        };
        let status = if cut.is_some() {
            "incomplete"
        } else {
            "completed"
        };
        let mut response = self.response(status);
        if let Some(reason) = cut {
            response["incomplete_details"] = json!({"reason": reason});
        }
        let usage = completion.usage;
        let tokenizer = self.held.model().tokenizer();
        let thoughts = tokenizer.encode_within(&completion.reasoning);
        response["usage"] = json!({
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens},
            "output_tokens": usage.sampled_tokens,
            "output_tokens_details": {"reasoning_tokens": thoughts.map_or(0, |all| all.len())},
            "total_tokens": usage.prompt_tokens + usage.sampled_tokens,
        });
        response
    }

    fn item_id(&self, index: usize, kind: Kind) -> String {
        let prefix = match kind {
            Kind::Thinking => "rs_",
            Kind::Text => "msg_",
            Kind::Call => "fc_",
        };
        format!("{prefix}{}_{index}", &self.id["resp_".len()..])
    }

    /// A block as an item, whole or just begun.
    fn item(&self, index: usize, block: &Block, whole: bool) -> Value {
        let Block { kind, name, text } = block;
        let status = if whole { "completed" } else { "in_progress" };
        let content: Vec<Value> = whole.then(|| part(*kind, text)).into_iter().collect();
        let id = self.item_id(index, *kind);
        match kind {
            Kind::Thinking => json!({
                "id": id, "type": "reasoning", "status": status, "summary": [], "content": content,
            }),
            Kind::Text => json!({
                "id": id, "type": "message", "role": "assistant", "status": status, "content": content,
            }),
            Kind::Call => json!({
                "id": id, "type": "function_call", "status": status, "name": name, "arguments": text,
                "call_id": format!("call_{}", &id["fc_".len()..]),
            }),
        }
    }

    /// The whole response.
    pub fn whole(&mut self, completion: &Completion) -> Value {
        let items = blocks(completion).into_iter().enumerate();
        let items = items.map(|(index, block)| self.item(index, &block, true));
        self.output = items.collect();
        self.ending(completion)
    }

    fn numbered(&mut self, mut events: Vec<Value>) -> Vec<Value> {
        for event in &mut events {
            event["sequence_number"] = self.number.into();
            self.number += 1;
        }
        events
    }

    /// The first events.
    pub fn begun(&mut self) -> Vec<Value> {
        let response = self.response("in_progress");
        let events = ["response.created", "response.in_progress"]
            .map(|kind| json!({"type": kind, "response": response}));
        self.numbered(events.to_vec())
    }

    /// Events of a piece.
    pub fn said(&mut self, piece: Piece) -> Vec<Value> {
        let steps = self.blocks.push(piece);
        let events = steps
            .into_iter()
            .flat_map(|step| self.events(step))
            .collect();
        self.numbered(events)
    }

    /// The last events.
    pub fn ended(&mut self, completion: &Completion) -> Vec<Value> {
        let closed = self.blocks.finish();
        let mut events: Vec<Value> = closed
            .into_iter()
            .flat_map(|step| self.events(step))
            .collect();
        let response = self.ending(completion);
        let status = response["status"].as_str().unwrap_or_default();
        events.push(json!({"type": format!("response.{status}"), "response": response}));
        self.numbered(events)
    }

    /// The last event of a response that ends in an error.
    pub fn failed(&mut self, error: &ApiError) -> Vec<Value> {
        let mut response = self.response("failed");
        response["error"] = json!({"code": "server_error", "message": error.message});
        self.numbered(vec![
            json!({"type": "response.failed", "response": response}),
        ])
    }

    fn events(&mut self, step: Step) -> Vec<Value> {
        let Step {
            index,
            kind,
            name,
            change,
        } = step;
        let id = self.item_id(index, kind);
        // An event of the item, or of the part that its text is.
        let at = |event: &str, more: Value| {
            let mut event =
                json!({"type": format!("response.{event}"), "item_id": id, "output_index": index});
            if kind != Kind::Call {
                event["content_index"] = 0.into();
            }
            for (name, value) in more.as_object().into_iter().flatten() {
                event[name] = value.clone();
            }
            event
        };
        let of_item = |event: &str, item: &Value| json!({"type": format!("response.output_item.{event}"), "output_index": index, "item": item});
        let (said, of_text) = match kind {
            Kind::Thinking => ("reasoning_text", json!({})),
            Kind::Text => ("output_text", json!({"logprobs": []})),
            Kind::Call => ("function_call_arguments", json!({})),
        };
        let with = |name: &str, text: &str| {
            let mut more = of_text.clone();
            more[name] = text.into();
            more
        };
        match change {
            Change::Opened => {
                let text = String::new();
                let item = self.item(index, &Block { kind, name, text }, false);
                let begun = at("content_part.added", json!({"part": part(kind, "")}));
                let begun = Some(begun).filter(|_| kind != Kind::Call);
                [of_item("added", &item)].into_iter().chain(begun).collect()
            }
            Change::Said(text) => vec![at(&format!("{said}.delta"), with("delta", &text))],
            Change::Closed(text) => {
                let mut whole = with(
                    if kind == Kind::Call {
                        "arguments"
                    } else {
                        "text"
                    },
                    &text,
                );
                if kind == Kind::Call {
                    whole["name"] = name.as_str().into();
                }
                let mut events = vec![at(&format!("{said}.done"), whole)];
                if kind != Kind::Call {
                    events.push(at("content_part.done", json!({"part": part(kind, &text)})));
                }
                let item = self.item(index, &Block { kind, name, text }, true);
                events.push(of_item("done", &item));
                self.output.push(item);
                events
            }
        }
    }
}

fn part(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Thinking => json!({"type": "reasoning_text", "text": text}),
        _ => {
            json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
        }
    }
}
