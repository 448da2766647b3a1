//! Responses and their events.

use lantern_engine::{Completion, FinishReason};
use serde_json::{Map, Value, json};

use super::super::{
    blocks::{Blocks, Change, Kind, Step, blocks},
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
            "previous_response_id": null, "store": false, "tool_choice": "auto", "tools": [],
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
        };
        format!("{prefix}{}_{index}", &self.id["resp_".len()..])
    }

    fn item(&self, index: usize, kind: Kind, text: Option<&str>) -> Value {
        let status = if text.is_some() {
            "completed"
        } else {
            "in_progress"
        };
        let content: Vec<Value> = text.into_iter().map(|text| part(kind, text)).collect();
        let id = self.item_id(index, kind);
        match kind {
            Kind::Thinking => json!({
                "id": id, "type": "reasoning", "status": status, "summary": [], "content": content,
            }),
            Kind::Text => json!({
                "id": id, "type": "message", "role": "assistant", "status": status, "content": content,
            }),
        }
    }

    /// The whole response.
    pub fn whole(&mut self, completion: &Completion) -> Value {
        let items = blocks(completion).enumerate();
        let items = items.map(|(index, (kind, text))| self.item(index, kind, Some(text)));
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
    pub fn said(&mut self, text: String, reasoning: String) -> Vec<Value> {
        let steps = self.blocks.push(text, reasoning);
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
            change,
        } = step;
        let name = match kind {
            Kind::Thinking => "reasoning_text",
            Kind::Text => "output_text",
        };
        let id = self.item_id(index, kind);
        let at = |event: &str, more: Value| {
            let mut event = json!({
                "type": format!("response.{event}"), "item_id": id, "output_index": index,
                "content_index": 0,
            });
            for (name, value) in more.as_object().into_iter().flatten() {
                event[name] = value.clone();
            }
            event
        };
        let of_item = |event: &str, item: &Value| json!({"type": format!("response.output_item.{event}"), "output_index": index, "item": item});
        match change {
            Change::Opened => {
                let item = self.item(index, kind, None);
                let begun = json!({"part": part(kind, "")});
                vec![of_item("added", &item), at("content_part.added", begun)]
            }
            Change::Said(text) => {
                let mut said = json!({"delta": text});
                if kind == Kind::Text {
                    said["logprobs"] = json!([]);
                }
                vec![at(&format!("{name}.delta"), said)]
            }
            Change::Closed(text) => {
                let mut done = json!({"text": text});
                if kind == Kind::Text {
                    done["logprobs"] = json!([]);
                }
                let item = self.item(index, kind, Some(&text));
                self.output.push(item.clone());
                vec![
                    at(&format!("{name}.done"), done),
                    at("content_part.done", json!({"part": part(kind, &text)})),
                    of_item("done", &item),
                ]
            }
        }
    }
}

fn part(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Thinking => json!({"type": "reasoning_text", "text": text}),
        Kind::Text => {
            json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
        }
    }
}
