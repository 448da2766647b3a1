//! `lantern serve` with other protocols than OpenAI's chats: Anthropic's messages, OpenAI's responses. Each says the same
//! text as a chat does, whole and in its events.

#[path = "../../tests/tests/support/default_model.rs"]
mod default_model;
mod support;

use default_model::default_model;
use serde_json::{Value, json};
use support::server::{Server, with};

const QUESTION: &str = "What is the capital of France?";

fn start(flags: &[&str]) -> Option<Server> {
    let flags = [&["--context", "512"], flags].concat();
    Some(Server::start(&default_model()?, &flags))
}

/// The answer of a chat.
fn of_chat(server: &Server) -> String {
    let asked = json!({
        "messages": [{"role": "user", "content": QUESTION}], "temperature": 0, "max_tokens": 12,
    });
    let (_, chat) = server.post("/v1/chat/completions", &asked);
    let text = &chat["choices"][0]["message"]["content"];
    text.as_str().unwrap().to_owned()
}

fn kinds(events: &[(String, Value)]) -> Vec<&str> {
    for (name, data) in events {
        assert_eq!(data["type"], **name, "an event's name is its type");
    }
    let mut kinds: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    kinds.dedup(); // deltas come as they come
    kinds
}

#[test]
fn gpu_messages_are_answered_as_anthropic_has_it() {
    let Some(server) = start(&["--parallel", "2"]) else {
        return;
    };
    let text = of_chat(&server);
    let asked = json!({
        "model": "x", "max_tokens": 12, "temperature": 0, "metadata": {"user_id": "1"},
        "messages": [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}],
    });
    let (status, whole) = server.post("/v1/messages", &asked);
    assert_eq!(status, 200, "{whole}");
    assert_eq!(whole["content"], json!([{"type": "text", "text": text}]));
    assert_eq!(
        (&whole["type"], &whole["role"]),
        (&json!("message"), &json!("assistant"))
    );

    let events = server.events("/v1/messages", &with(&asked, &json!({"stream": true})));
    assert_eq!(
        kinds(&events),
        [
            "message_start",
            "ping",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    let deltas = events
        .iter()
        .filter_map(|(_, data)| data["delta"]["text"].as_str());
    assert_eq!(deltas.collect::<String>(), text);
    let (_, last) = &events[events.len() - 2];
    assert_eq!(last["delta"]["stop_reason"], whole["stop_reason"]);
    assert_eq!(
        last["usage"]["output_tokens"],
        whole["usage"]["output_tokens"]
    );

    let (_, stopped) = server.post(
        "/v1/messages",
        &with(&asked, &json!({"stop_sequences": ["capital", "Paris"]})),
    );
    assert_eq!(stopped["stop_reason"], "stop_sequence");
    let stop = stopped["stop_sequence"].as_str().unwrap();
    assert!(
        text.contains(stop) && !stopped["content"].to_string().contains(stop),
        "{stopped}"
    );
    tokens_of_messages_are_counted(&server, &asked);
    wrong_messages_are_refused(&server, &asked);
}

fn tokens_of_messages_are_counted(server: &Server, asked: &Value) {
    let turns = json!([
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Easy.", "signature": "lantern"}, {"type": "text", "text": "Paris."},
        ]},
        {"role": "user", "content": "And of Italy?"},
    ]);
    let (_, counted) = server.post(
        "/v1/messages/count_tokens",
        &json!({"messages": turns, "system": "Be brief."}),
    );
    let longer = json!({"messages": turns, "system": [{"type": "text", "text": "Be brief."}]});
    let (_, answer) = server.post("/v1/messages", &with(asked, &longer));
    let usage = |name: &str| answer["usage"][name].as_u64().unwrap();
    let prompt = usage("input_tokens") + usage("cache_read_input_tokens");
    assert_eq!(counted["input_tokens"], prompt);
}

fn wrong_messages_are_refused(server: &Server, asked: &Value) {
    let assistant =
        json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]);
    let image = json!([{"role": "user", "content": [{"type": "image", "source": {}}]}]);
    for (change, words) in [
        (json!({"max_tokens": null}), "max_tokens is missing"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"messages": []}), "messages is empty"),
        (json!({"messages": assistant}), "the last one"),
        (json!({"messages": image}), "image"),
        (json!({"thinking": {"type": "deep"}}), "deep"),
        (json!({"colour": 1}), "colour"),
    ] {
        let (status, refused) = server.post("/v1/messages", &with(asked, &change));
        let error = &refused["error"];
        assert_eq!(
            (status, &refused["type"]),
            (400, &json!("error")),
            "{change}: {refused}"
        );
        assert_eq!(error["type"], "invalid_request_error");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(words), "{change}: {message}");
    }
}

#[test]
fn gpu_keys_of_anthropic_are_keys_too() {
    let Some(server) = start(&["--api-key", "secret"]) else {
        return;
    };
    let ask = |key: &str| {
        let request = server
            .agent
            .post(format!("{}/v1/messages/count_tokens", server.address));
        let body = json!({"messages": [{"role": "user", "content": "Hi"}]});
        let response = request.header("x-api-key", key).send(body.to_string());
        let mut response = response.expect("an answer");
        let text = response.body_mut().read_to_string().unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        (response.status().as_u16(), value)
    };
    assert_eq!(ask("secret").0, 200);
    let (status, refused) = ask("guess");
    assert_eq!(
        (status, &refused["error"]["type"]),
        (401, &json!("authentication_error"))
    );
}

#[test]
fn gpu_responses_are_answered_as_openai_has_it() {
    let Some(server) = start(&["--parallel", "2"]) else {
        return;
    };
    let text = of_chat(&server);
    let asked = json!({
        "model": "x", "input": QUESTION, "max_output_tokens": 12, "temperature": 0, "store": true,
        "include": ["reasoning.encrypted_content"],
    });
    let (status, whole) = server.post("/v1/responses", &asked);
    assert_eq!(status, 200, "{whole}");
    let item = &whole["output"][0];
    assert_eq!(
        (&item["type"], &item["content"][0]["text"]),
        (&json!("message"), &json!(text))
    );
    assert_eq!(
        (&whole["store"], &whole["max_output_tokens"]),
        (&json!(false), &json!(12))
    );

    let events = server.events("/v1/responses", &with(&asked, &json!({"stream": true})));
    let status = whole["status"].as_str().unwrap();
    assert_eq!(
        kinds(&events),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            &format!("response.{status}"),
        ]
    );
    let deltas = events.iter().filter_map(|(_, data)| data["delta"].as_str());
    assert_eq!(deltas.collect::<String>(), text);
    for (number, (_, data)) in events.iter().enumerate() {
        assert_eq!(data["sequence_number"], number);
    }
    let (_, last) = &events[events.len() - 1];
    assert_eq!(
        last["response"]["usage"]["output_tokens"],
        whole["usage"]["output_tokens"]
    );
    let texts = |response: &Value| response["output"][0]["content"].clone();
    assert_eq!(texts(&last["response"]), texts(&whole));
    responses_have_forms_and_limits(&server, &asked);
}

fn responses_have_forms_and_limits(server: &Server, asked: &Value) {
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["yes"], "properties": {"yes": {"type": "boolean"}}});
    let form =
        json!({"format": {"type": "json_schema", "name": "a", "schema": schema, "strict": true}});
    let items = json!([
        {"role": "developer", "content": "Answer."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Is it so?"}]},
    ]);
    let change =
        json!({"text": form, "input": items, "instructions": "Be brief.", "max_output_tokens": 30});
    let (_, answer) = server.post("/v1/responses", &with(asked, &change));
    let said = answer["output"][0]["content"][0]["text"]
        .as_str()
        .unwrap_or_default();
    let value: Value = serde_json::from_str(said).unwrap_or_else(|_| panic!("{answer}"));
    assert!(value["yes"].is_boolean());
    for (change, words) in [
        (json!({"input": null}), "input is missing"),
        (
            json!({"previous_response_id": "resp_1"}),
            "previous_response_id",
        ),
        (json!({"background": true}), "background"),
        (json!({"truncation": "auto"}), "truncation"),
        (
            json!({"input": [{"type": "item_reference", "id": "a"}]}),
            "item_reference",
        ),
        (json!({"reasoning": {"effort": "some"}}), "some"),
    ] {
        let (status, refused) = server.post("/v1/responses", &with(asked, &change));
        assert_eq!(status, 400, "{change}: {refused}");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{change}: {message}");
    }
}
