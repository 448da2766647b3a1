//! `lantern serve` with tools: calls in the form of each protocol, whole and in pieces, and answers to what tools said. The
//! default model is made to call by the choice that requests make.

#[path = "../../tests/tests/support/default_model.rs"]
mod default_model;
mod support;

use default_model::default_model;
use serde_json::{Value, json};
use support::server::{Server, with};

fn start() -> Option<Server> {
    let flags = ["--context", "1024", "--parallel", "2"];
    Some(Server::start(&default_model()?, &flags))
}

fn parameters() -> Value {
    json!({
        "type": "object", "required": ["city"], "additionalProperties": false,
        "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
    })
}

fn is_city(arguments: &Value) -> bool {
    ["Paris", "Rome"].contains(&arguments["city"].as_str().unwrap_or_default())
}

fn parsed(arguments: &Value) -> Value {
    serde_json::from_str(arguments.as_str().unwrap()).unwrap()
}

#[test]
fn gpu_chats_call_tools() {
    let Some(server) = start() else {
        return;
    };
    let (path, name) = ("/v1/chat/completions", "get_weather");
    let function =
        json!({"name": name, "description": "The weather in a city.", "parameters": parameters()});
    let question = json!({"role": "user", "content": "How is the weather in Paris?"});
    let asked = json!({
        "messages": [question], "temperature": 0, "max_tokens": 80,
        "tools": [{"type": "function", "function": function}], "tool_choice": "required",
        "parallel_tool_calls": false,
    });
    let (status, whole) = server.post(path, &asked);
    assert_eq!(status, 200, "{whole}");
    let choice = &whole["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["content"]),
        (&json!("tool_calls"), &Value::Null)
    );
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    let call = &calls[0]["function"];
    assert!(
        calls.len() == 1 && call["name"] == name && is_city(&parsed(&call["arguments"])),
        "{whole}"
    );

    let named = json!({"type": "function", "function": {"name": name}});
    let events = server.stream(
        path,
        &with(&asked, &json!({"stream": true, "tool_choice": named})),
    );
    let deltas = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["tool_calls"][0].as_object());
    let deltas: Vec<_> = deltas.collect();
    assert!(
        deltas[0]["id"].is_string() && deltas[0]["function"]["name"] == name,
        "{events:?}"
    );
    assert!(
        deltas[1..]
            .iter()
            .all(|delta| delta.get("id").is_none() && delta["index"] == 0)
    );
    let arguments = deltas
        .iter()
        .filter_map(|delta| delta["function"]["arguments"].as_str());
    assert_eq!(
        arguments.collect::<String>(),
        call["arguments"].as_str().unwrap()
    );
    let last = &events[events.len() - 1]["choices"][0];
    assert_eq!(last["finish_reason"], "tool_calls");
    tools_have_their_say(&server, &asked, &choice["message"]);
}

/// Answers of tools go into the next one; and choices that cannot be made are refused.
fn tools_have_their_say(server: &Server, asked: &Value, message: &Value) {
    let path = "/v1/chat/completions";
    let (question, calls) = (&asked["messages"][0], &message["tool_calls"]);
    let said =
        json!({"role": "tool", "tool_call_id": calls[0]["id"], "content": "sunny, 20 degrees"});
    let messages = json!([question, message, said]);
    let (status, answer) = server.post(
        path,
        &with(asked, &json!({"messages": messages, "tool_choice": "auto"})),
    );
    assert_eq!(status, 200, "{answer}");
    let (_, none) = server.post(
        path,
        &with(asked, &json!({"tool_choice": "none", "max_tokens": 8})),
    );
    assert!(
        none["choices"][0]["message"]["tool_calls"].is_null(),
        "{none}"
    );
    for (change, words) in [
        (
            json!({"tool_choice": {"type": "function", "function": {"name": "other"}}}),
            "other",
        ),
        (json!({"tool_choice": "always"}), "always"),
        (
            json!({"tools": [{"type": "function", "function": {"name": "a b"}}]}),
            "tools[0]",
        ),
        (json!({"functions": [{"name": "a"}]}), "functions"),
    ] {
        let (status, refused) = server.post(path, &with(asked, &change));
        let message = refused["error"]["message"].as_str().unwrap_or_default();
        assert!(
            status == 400 && message.contains(words),
            "{change}: {refused}"
        );
    }
}

#[test]
fn gpu_messages_call_tools() {
    let Some(server) = start() else {
        return;
    };
    let (path, name) = ("/v1/messages", "get_weather");
    let tool = json!({
        "name": name, "description": "The weather in a city.", "input_schema": parameters(),
        "cache_control": {"type": "ephemeral"},
    });
    let question = json!({"role": "user", "content": "How is the weather in Paris?"});
    let asked = json!({
        "messages": [question], "temperature": 0, "max_tokens": 80, "tools": [tool],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
    });
    let (status, whole) = server.post(path, &asked);
    assert_eq!(
        (status, &whole["stop_reason"]),
        (200, &json!("tool_use")),
        "{whole}"
    );
    let call = &whole["content"][0];
    assert!(
        call["type"] == "tool_use" && call["name"] == name && is_city(&call["input"]),
        "{whole}"
    );

    let change = json!({"stream": true, "tool_choice": {"type": "tool", "name": name, "disable_parallel_tool_use": true}});
    let events = server.events(path, &with(&asked, &change));
    let begun = events
        .iter()
        .find(|(kind, _)| kind == "content_block_start");
    let begun = &begun.unwrap().1["content_block"];
    assert!(begun["type"] == "tool_use" && begun["name"] == name && begun["input"] == json!({}));
    let pieces = events
        .iter()
        .filter_map(|(_, data)| data["delta"]["partial_json"].as_str());
    let input: Value = serde_json::from_str(&pieces.collect::<String>()).unwrap();
    assert_eq!(input, call["input"]);

    let result = json!([
        {"type": "tool_result", "tool_use_id": call["id"], "content": [{"type": "text", "text": "sunny"}]},
        {"type": "text", "text": "In one word, please."},
    ]);
    let messages = json!([
        question, {"role": "assistant", "content": whole["content"]}, {"role": "user", "content": result},
    ]);
    let change = json!({"messages": messages, "tool_choice": {"type": "auto"}});
    let (status, answer) = server.post(path, &with(&asked, &change));
    assert_eq!(status, 200, "{answer}");
    let usage = |name: &str| answer["usage"][name].as_u64().unwrap();
    let counted = json!({"messages": messages, "tools": [tool]});
    let (_, counted) = server.post("/v1/messages/count_tokens", &counted);
    assert_eq!(
        counted["input_tokens"],
        usage("input_tokens") + usage("cache_read_input_tokens")
    );
    let search = json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]});
    let (status, refused) = server.post(path, &with(&asked, &search));
    let message = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(
        status == 400 && message.contains("web_search_20250305"),
        "{refused}"
    );
}

#[test]
fn gpu_responses_call_tools() {
    let Some(server) = start() else {
        return;
    };
    let (path, name) = ("/v1/responses", "get_weather");
    let tool =
        json!({"type": "function", "name": name, "strict": true, "parameters": parameters()});
    let question = json!({"role": "user", "content": "How is the weather in Paris?"});
    let asked = json!({
        "input": [question], "temperature": 0, "max_output_tokens": 80, "tools": [tool],
        "tool_choice": "required", "parallel_tool_calls": false,
    });
    let (status, whole) = server.post(path, &asked);
    assert_eq!(status, 200, "{whole}");
    let call = &whole["output"][0];
    assert!(
        call["type"] == "function_call" && call["name"] == name,
        "{whole}"
    );
    assert!(
        is_city(&parsed(&call["arguments"])) && whole["tool_choice"] == "required",
        "{whole}"
    );

    let events = server.events(path, &with(&asked, &json!({"stream": true})));
    let of = |kind: &str| {
        let kind = format!("response.{kind}");
        let all = events.iter().filter(move |(name, _)| *name == kind);
        all.map(|(_, data)| data).collect::<Vec<_>>()
    };
    let deltas = of("function_call_arguments.delta").into_iter();
    let arguments: String = deltas.map(|data| data["delta"].as_str().unwrap()).collect();
    assert_eq!(arguments, call["arguments"].as_str().unwrap());
    let item = &of("output_item.done")[0]["item"];
    assert_eq!(
        (&item["arguments"], &item["name"]),
        (&call["arguments"], &call["name"])
    );
    assert_eq!(
        of("output_item.added")[0]["item"]["call_id"],
        item["call_id"]
    );

    let output =
        json!({"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"});
    let change = json!({"input": [question, call, output], "tool_choice": "auto"});
    let (status, answer) = server.post(path, &with(&asked, &change));
    assert_eq!(status, 200, "{answer}");
    let (status, refused) = server.post(
        path,
        &with(&asked, &json!({"tools": [{"type": "web_search"}]})),
    );
    let message = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(status == 400 && message.contains("web_search"), "{refused}");
}
