//! `lantern serve` with the default model: whole answers and streams, forms, errors, and who may ask. Names begin with `gpu_`,
//! so that two run at a time.

#[path = "../../tests/tests/support/default_model.rs"]
mod default_model;
mod support;

use std::path::Path;

use default_model::default_model;
use serde_json::{Value, json};
use support::{run, server::Server};

fn start(flags: &[&str]) -> Option<Server> {
    let flags = [&["--context", "512"], flags].concat();
    Some(Server::start(&default_model()?, &flags))
}

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

#[test]
fn gpu_answers_come_whole_and_in_pieces() {
    let Some(server) = start(&["--parallel", "2"]) else {
        return;
    };
    assert_eq!(server.get("/health"), (200, "ok\n".to_owned()));
    let models: Value = serde_json::from_str(&server.get("/v1/models").1).unwrap();
    let name = models["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(models["data"][0]["context_length"], 512);

    let mut body = json!({
        "model": name, "messages": user("What is the capital of France?"),
        "temperature": 0, "max_tokens": 12,
    });
    let (status, whole) = server.post("/v1/chat/completions", &body);
    assert_eq!(status, 200, "{whole}");
    let answer = whole["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(answer.contains("Paris"), "{whole}");
    let usage = &whole["usage"];
    let tokens = usage["prompt_tokens"].as_u64().unwrap();
    assert_eq!(
        usage["total_tokens"],
        tokens + usage["completion_tokens"].as_u64().unwrap()
    );

    body["stream"] = true.into();
    body["stream_options"] = json!({"include_usage": true});
    let events = server.stream("/v1/chat/completions", &body);
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    let pieces = events.iter();
    let pieces = pieces.filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
    assert_eq!(pieces.collect::<String>(), answer);
    let last = events.last().unwrap();
    assert_eq!(last["choices"], json!([]));
    let again = &last["usage"]["prompt_tokens_details"]["cached_tokens"];
    assert!(again.as_u64().unwrap() >= tokens - 2, "{last}");

    let body = json!({
        "prompt": "One, two, three,", "temperature": 1.2, "max_tokens": 6, "n": 3, "seed": 4,
    });
    let (_, three) = server.post("/v1/completions", &body);
    let texts = three["choices"].as_array().unwrap().iter();
    let texts: Vec<&str> = texts.map(|one| one["text"].as_str().unwrap()).collect();
    assert!(texts.len() == 3 && texts[0] != texts[1], "{texts:?}");
    let (_, again) = server.post("/v1/completions", &body);
    assert_eq!(again["choices"][2]["text"], texts[2], "a seed's answers");

    let (_, tokens) = server.post("/tokenize", &json!({"content": "Hello world"}));
    let (_, text) = server.post("/detokenize", &tokens);
    assert_eq!(text["content"], "Hello world");
    let asked = json!({"messages": user("Hi")});
    let (_, prompt) = server.post("/apply-template", &asked);
    let prompt = prompt["prompt"].as_str().unwrap();
    assert!(
        prompt.contains("Hi") && prompt.ends_with("assistant\n"),
        "{prompt}"
    );
    assert!(server.metric("lantern_requests_completed_total") >= 8.0);
    assert!(server.metric("lantern_time_to_first_token_seconds_count") >= 8.0);
    assert!((server.metric("lantern_requests_running")).abs() < f64::EPSILON);
}

#[test]
fn gpu_answers_have_the_form_that_is_asked_for() {
    let Some(server) = start(&[]) else {
        return;
    };
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["city", "people"],
        "properties": {
            "city": {"type": "string", "maxLength": 20},
            "people": {"type": "integer", "minimum": 1, "maximum": 99_999_999},
        },
    });
    let body = json!({
        "messages": user("Tell me of Paris."), "max_completion_tokens": 80, "temperature": 0.7, "seed": 1,
        "response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": schema}},
    });
    let (status, answer) = server.post("/v1/chat/completions", &body);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    let value: Value = serde_json::from_str(text).unwrap();
    assert!(
        value["city"].is_string() && value["people"].is_u64(),
        "{text}"
    );

    let body = json!({"prompt": "Is it so?", "guided_regex": "(yes|no)", "max_tokens": 5});
    let (_, answer) = server.post("/v1/completions", &body);
    let text = answer["choices"][0]["text"].as_str().unwrap();
    assert!(["yes", "no"].contains(&text), "{text}");
}

/// Changes to a sound request, and words of what is said of them.
fn wrong() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"messages": []}), "messages is empty"),
        (json!({"messages": user(&"word ".repeat(600))}), "context"),
        (
            json!({"messages": [{"role": "wizard", "content": "x"}]}),
            "wizard",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
            "image_url",
        ),
        (json!({"temperature": -1}), "temperature"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"tools": [{"type": "function"}]}), "tools"),
        (json!({"n": 0}), "n is 1 to 16"),
        (json!({"colour": "red"}), "colour"),
        (json!({"response_format": {"type": "xml"}}), "xml"),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"schema": {
                "properties": {"a": {"type": "object", "unevaluatedProperties": false}},
            }}}}),
            "#/properties/a",
        ),
    ]
}

#[test]
fn gpu_what_cannot_be_answered_is_refused_in_the_client_s_form() {
    let Some(server) = start(&["--api-key", "secret"]) else {
        return;
    };
    let hello = json!({"messages": user("Hello"), "max_tokens": 1});
    let (status, refused) = server.post("/v1/chat/completions", &hello);
    assert_eq!(
        (status, &refused["error"]["code"]),
        (401, &json!("invalid_api_key"))
    );
    assert_eq!(server.get("/health").0, 200, "balancers have no key");
    let ask = |body: &Value| {
        let request = server
            .agent
            .post(format!("{}/v1/chat/completions", server.address));
        let request = request.header("authorization", "Bearer secret");
        let mut response = request.send(body.to_string()).expect("an answer");
        let text = response.body_mut().read_to_string().unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        (response.status().as_u16(), value)
    };
    assert_eq!(ask(&hello).0, 200);
    for (change, words) in wrong() {
        let mut body = hello.clone();
        let fields = change.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        let (status, refused) = ask(&body);
        assert_eq!(status, 400, "{change}: {refused}");
        assert_eq!(refused["error"]["type"], "invalid_request_error");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{change}: {message}");
    }
    let (status, refused) = ask(&json!("no object"));
    assert_eq!(
        (status, &refused["error"]["type"]),
        (400, &json!("invalid_request_error"))
    );
    let foreign = server.agent.get(format!("{}/health", server.address));
    let foreign = foreign.header("host", "evil.example").call().unwrap();
    assert_eq!(foreign.status().as_u16(), 403);
    let page = server.agent.get(format!("{}/health", server.address));
    let page = page
        .header("origin", "https://page.example")
        .call()
        .unwrap();
    assert!(page.headers().get("access-control-allow-origin").is_none());
}

#[test]
fn an_address_that_others_reach_wants_a_key() {
    let mut command = support::lantern(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let (code, _, told) = run(command.args(["serve", "--host", "0.0.0.0"]));
    assert_eq!(code, 2, "{told}");
    assert!(
        told.contains("--api-key") && told.contains("--no-auth"),
        "{told}"
    );
}
