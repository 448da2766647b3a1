//! Tools for models whose templates know none: what they are told in a message of the system, and calls and results as texts.

use serde_json::{Value, json};

/// The input of a template with its tools, calls and results as texts, in the form of [`super::HERMES`].
pub(in crate::text) fn instructed(input: &Value) -> Value {
    let mut input = input.clone();
    let tools = std::mem::take(&mut input["tools"]);
    let all = tools.as_array().into_iter().flatten();
    let all: Vec<String> = all.map(|tool| tool["function"].to_string()).collect();
    let told = format!(
        "You can call tools. A call is a JSON object between two marks, on lines of their own:\n\
         <tool_call>\n{{\"name\": NAME, \"arguments\": {{…}}}}\n</tool_call>\n\
         These are the tools, with JSON Schemas of their arguments:\n{}",
        all.join("\n")
    );
    let mut messages: Vec<Value> = Vec::new();
    for message in input["messages"].as_array().into_iter().flatten() {
        let mut message = message.clone();
        let content = message["content"].as_str().unwrap_or_default().to_owned();
        let calls = message
            .as_object_mut()
            .and_then(|all| all.remove("tool_calls"));
        if let Some(Value::Array(calls)) = calls {
            let calls: Vec<String> = calls.iter().map(called).collect();
            let parts = [vec![content], calls].concat();
            let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            message["content"] = parts.join("\n").into();
        } else if message["role"] == "tool" {
            let result = format!("<tool_response>\n{content}\n</tool_response>");
            // Results of one turn are one message: many templates want turns to alternate.
            let last = messages.last_mut().filter(|last| last["role"] == "tool");
            if let Some(last) = last {
                let before = last["content"].as_str().unwrap_or_default();
                last["content"] = format!("{before}\n{result}").into();
                continue;
            }
            message = json!({"role": "tool", "content": result});
        }
        messages.push(message);
    }
    for message in &mut messages {
        if message["role"] == "tool" {
            message["role"] = "user".into();
        }
    }
    match messages.first_mut() {
        _ if all.is_empty() => {}
        Some(first) if first["role"] == "system" => {
            let text = first["content"].as_str().unwrap_or_default();
            first["content"] = format!("{text}\n\n{told}").into();
        }
        _ => messages.insert(0, json!({"role": "system", "content": told})),
    }
    input["messages"] = messages.into();
    input
}

fn called(call: &Value) -> String {
    let function = &call["function"];
    let arguments = match &function["arguments"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!(
        "<tool_call>\n{{\"name\": {}, \"arguments\": {arguments}}}\n</tool_call>",
        function["name"]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_results_become_texts() {
        let input = json!({
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "messages": [
                {"role": "user", "content": "Hm?"},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "1", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "2", "function": {"name": "f", "arguments": {"a": 1}}},
                ]},
                {"role": "tool", "tool_call_id": "1", "content": "x"},
                {"role": "tool", "tool_call_id": "2", "content": "y"},
            ],
        });
        let told = instructed(&input);
        assert!(told["tools"].is_null());
        let messages = told["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 4);
        let system = messages[0]["content"].as_str().unwrap();
        assert!(system.contains("{\"name\":\"f\"}"), "{system}");
        let calls = messages[2]["content"].as_str().unwrap();
        assert_eq!(calls.matches("<tool_call>").count(), 2);
        assert!(calls.contains("{\"name\": \"f\", \"arguments\": {\"a\":1}}"));
        assert_eq!(messages[3]["role"], "user");
        let results = messages[3]["content"].as_str().unwrap();
        assert!(results.contains("x\n</tool_response>\n<tool_response>\ny"));
    }
}
