//! Answers in Anthropic's form.

use lantern_engine::{Completion, FinishReason};
use serde_json::{Value, json};

use super::super::{
    answers::Piece,
    blocks::{Block, Blocks, Change, Kind, Step, blocks},
    served::Held,
};

/// Signature of all thoughts: they are taken back from whoever has them.
const SIGNATURE: &str = "lantern";

/// An answer that is put into Anthropic's form.
pub struct Frame {
    id: String,
    model: String,
    prompt_tokens: usize,
    blocks: Blocks,
    /// Whether the text of thoughts is told.
    shown: bool,
}

impl Frame {
    pub fn new(held: &Held, prompt_tokens: usize, shown: bool) -> Frame {
        Frame {
            id: held.id("msg_"),
            model: held.name.clone(),
            prompt_tokens,
            blocks: Blocks::default(),
            shown,
        }
    }

    fn message(&self, content: &[Value]) -> Value {
        json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model,
            "content": content, "stop_reason": null, "stop_sequence": null,
            "usage": {
                "input_tokens": self.prompt_tokens, "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0, "output_tokens": 0,
            },
        })
    }

    /// The whole answer.
    pub fn whole(&self, completion: &Completion) -> Value {
        let mut content = Vec::new();
        for (index, mut block) in blocks(completion).into_iter().enumerate() {
            if block.kind == Kind::Thinking && !self.shown {
                block.text.clear();
            }
            content.push(self.block(index, &block, SIGNATURE));
        }
        let mut message = self.message(&content);
        let (reason, stop) = ending(completion);
        message["stop_reason"] = reason.into();
        message["stop_sequence"] = stop.into();
        message["usage"] = usage(completion);
        message
    }

    /// The first event.
    pub fn begun(&self) -> Vec<Value> {
        let start = json!({"type": "message_start", "message": self.message(&[])});
        vec![start, json!({"type": "ping"})]
    }

    /// Events of a piece.
    pub fn said(&mut self, piece: Piece) -> Vec<Value> {
        let mut steps = self.blocks.push(piece);
        steps.retain(|step| {
            let thought = step.kind == Kind::Thinking && matches!(step.change, Change::Said(_));
            self.shown || !thought
        });
        steps.iter().flat_map(|step| self.events(step)).collect()
    }

    /// The last events.
    pub fn ended(&mut self, completion: &Completion) -> Vec<Value> {
        let closed = self.blocks.finish();
        let mut all: Vec<Value> = closed.iter().flat_map(|step| self.events(step)).collect();
        let (reason, stop) = ending(completion);
        all.push(json!({
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": stop},
            "usage": usage(completion),
        }));
        all.push(json!({"type": "message_stop"}));
        all
    }

    /// A block as answers have it.
    fn block(&self, index: usize, block: &Block, signature: &str) -> Value {
        let text = &block.text;
        match block.kind {
            Kind::Thinking => json!({"type": "thinking", "thinking": text, "signature": signature}),
            Kind::Text => json!({"type": "text", "text": text}),
            Kind::Call => {
                let id = format!("toolu_{}_{index}", &self.id["msg_".len()..]);
                let input = serde_json::from_str(text).unwrap_or_else(|_| json!({}));
                json!({"type": "tool_use", "id": id, "name": block.name, "input": input})
            }
        }
    }

    fn events(&self, step: &Step) -> Vec<Value> {
        let (index, kind) = (step.index, step.kind);
        match &step.change {
            Change::Opened => {
                let empty = Block {
                    kind,
                    name: step.name.clone(),
                    text: String::new(),
                };
                let begun = self.block(index, &empty, "");
                vec![json!({"type": "content_block_start", "index": index, "content_block": begun})]
            }
            Change::Said(text) => vec![match kind {
                Kind::Thinking => delta(index, "thinking_delta", "thinking", text),
                Kind::Text => delta(index, "text_delta", "text", text),
                Kind::Call => delta(index, "input_json_delta", "partial_json", text),
            }],
            Change::Closed(_) => {
                let signed = delta(index, "signature_delta", "signature", SIGNATURE);
                let stop = json!({"type": "content_block_stop", "index": index});
                match kind {
                    Kind::Thinking => vec![signed, stop],
                    Kind::Text | Kind::Call => vec![stop],
                }
            }
        }
    }
}

/// Anthropic's word for why an answer ended, and the text that ended it.
fn ending(completion: &Completion) -> (&'static str, Option<&str>) {
    match completion.finish_reason {
        FinishReason::Length => ("max_tokens", None),
        FinishReason::ContextFull => ("model_context_window_exceeded", None),
        FinishReason::Stop | FinishReason::Aborted if !completion.tool_calls.is_empty() => {
            ("tool_use", None)
        }
        FinishReason::Stop | FinishReason::Aborted => match completion.stop.as_deref() {
            Some(stop) => ("stop_sequence", Some(stop)),
            None => ("end_turn", None),
        },
    }
}

/// Tokens: those of the prompt that were held already are counted apart from the others.
fn usage(completion: &Completion) -> Value {
    let usage = completion.usage;
    json!({
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.sampled_tokens,
    })
}

/// More of a block.
fn delta(index: usize, kind: &str, name: &str, text: &str) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, name: text}})
}
