//! Answers in Anthropic's form.

use lantern_engine::{Completion, FinishReason};
use serde_json::{Value, json};

use super::super::{
    blocks::{Blocks, Change, Kind, Step, blocks},
    served::{Held, Served},
};

/// Signature of all thoughts: they are taken back from whoever has them.
const SIGNATURE: &str = "lantern";

/// An answer that is put into Anthropic's form.
pub struct Frame {
    id: String,
    held: Held,
    prompt_tokens: usize,
    stops: Vec<String>,
    blocks: Blocks,
    /// Whether the text of thoughts is told.
    shown: bool,
}

impl Frame {
    pub fn new(held: &Held, prompt_tokens: usize, stops: Vec<String>, shown: bool) -> Frame {
        Frame {
            id: held.id("msg_"),
            held: held.clone(),
            prompt_tokens,
            stops,
            blocks: Blocks::default(),
            shown,
        }
    }

    fn message(&self, content: &[Value]) -> Value {
        json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.held.name,
            "content": content, "stop_reason": null, "stop_sequence": null,
            "usage": {
                "input_tokens": self.prompt_tokens, "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0, "output_tokens": 0,
            },
        })
    }

    /// The whole answer.
    pub fn whole(&self, completion: &Completion) -> Value {
        let content = blocks(completion).map(|(kind, text)| {
            let hidden = kind == Kind::Thinking && !self.shown;
            block(kind, if hidden { "" } else { text }, SIGNATURE)
        });
        let mut message = self.message(&content.collect::<Vec<_>>());
        let (reason, stop) = self.ending(completion);
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
    pub fn said(&mut self, text: String, reasoning: String) -> Vec<Value> {
        let steps = self.blocks.push(text, reasoning);
        let told = steps.into_iter().filter(|step| {
            let thought = step.kind == Kind::Thinking && matches!(step.change, Change::Said(_));
            self.shown || !thought
        });
        told.flat_map(events).collect()
    }

    /// The last events.
    pub fn ended(&mut self, completion: &Completion) -> Vec<Value> {
        let closed = self.blocks.finish().into_iter();
        let mut all: Vec<Value> = closed.flat_map(events).collect();
        let (reason, stop) = self.ending(completion);
        all.push(json!({
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": stop},
            "usage": usage(completion),
        }));
        all.push(json!({"type": "message_stop"}));
        all
    }

    /// Why an answer ended, and the text that ended it.
    fn ending(&self, completion: &Completion) -> (&'static str, Option<&str>) {
        match completion.finish_reason {
            FinishReason::Length => ("max_tokens", None),
            FinishReason::ContextFull => ("model_context_window_exceeded", None),
            FinishReason::Stop | FinishReason::Aborted => match self.stop(&self.held, completion) {
                Some(stop) => ("stop_sequence", Some(stop)),
                None => ("end_turn", None),
            },
        }
    }

    /// The stop text that an answer ended with: the first one in what the tokens say.
    fn stop(&self, served: &Served, completion: &Completion) -> Option<&str> {
        let tokenizer = served.model().tokenizer();
        let ended = completion.tokens.last().copied();
        if ended.is_some_and(|token| tokenizer.is_end(token)) {
            return None;
        }
        let text = tokenizer.decode(&completion.tokens);
        let places = self.stops.iter();
        let places = places.filter_map(|stop| Some((text.find(stop)?, stop)));
        places.min().map(|(_, stop)| stop.as_str())
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

fn block(kind: Kind, text: &str, signature: &str) -> Value {
    match kind {
        Kind::Thinking => json!({"type": "thinking", "thinking": text, "signature": signature}),
        Kind::Text => json!({"type": "text", "text": text}),
    }
}

fn events(step: Step) -> Vec<Value> {
    let Step {
        index,
        kind,
        change,
    } = step;
    let delta =
        |delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    match (change, kind) {
        (Change::Opened, kind) => vec![json!({
            "type": "content_block_start", "index": index, "content_block": block(kind, "", ""),
        })],
        (Change::Said(text), Kind::Thinking) => {
            vec![delta(json!({"type": "thinking_delta", "thinking": text}))]
        }
        (Change::Said(text), Kind::Text) => {
            vec![delta(json!({"type": "text_delta", "text": text}))]
        }
        (Change::Closed(_), kind) => {
            let stop = json!({"type": "content_block_stop", "index": index});
            let signed = delta(json!({"type": "signature_delta", "signature": SIGNATURE}));
            match kind {
                Kind::Thinking => vec![signed, stop],
                Kind::Text => vec![stop],
            }
        }
    }
}
