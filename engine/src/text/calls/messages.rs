//! Messages with calls, as templates want them: some read arguments as objects, some as texts; some want a text beside calls;
//! some look at the form of ids.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Inputs of a template that say the same, in the order in which they are to be tried: as most templates want them, then as
/// others do. One where no message has calls or answers one.
pub(in crate::text) fn variants(input: &Value) -> impl Iterator<Item = Cow<'_, Value>> {
    let messages = input["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let with_calls =
        |message: &Value| message["tool_calls"].is_array() || message["role"] == "tool";
    let calls = messages.iter().any(with_calls);
    // A bit for each way that there are two of; the last way changes first.
    (0..if calls { 8 } else { 1 }).map(move |ways| {
        if !calls {
            return Cow::Borrowed(input);
        }
        let (short_ids, as_text, empty) = (ways & 4 != 0, ways & 2 != 0, ways & 1 != 0);
        let mut changed = input.clone();
        let mut names = Map::new();
        for message in changed["messages"].as_array_mut().into_iter().flatten() {
            change(message, &mut names, (short_ids, as_text, empty));
        }
        Cow::Owned(changed)
    })
}

/// `names`: those of tools, by the ids of their calls so far.
fn change(
    message: &mut Value,
    names: &mut Map<String, Value>,
    (short_ids, as_text, empty): (bool, bool, bool),
) {
    let Some(fields) = message.as_object_mut() else {
        return; // the template's own error says that this is none
    };
    for call in fields
        .get_mut("tool_calls")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let (Some(id), name @ Value::String(_)) =
            (call["id"].as_str(), &call["function"]["name"])
        {
            names.insert(id.to_owned(), name.clone());
        }
        if let (Some(id), true) = (call["id"].as_str(), short_ids) {
            call["id"] = short(id).into();
        }
        let Some(arguments) = call["function"].get_mut("arguments") else {
            continue;
        };
        match (&*arguments, as_text) {
            (Value::String(text), false) => {
                if let Ok(object @ Value::Object(_)) = serde_json::from_str(text) {
                    *arguments = object;
                }
            }
            (Value::Object(_), true) => *arguments = arguments.to_string().into(),
            _ => {}
        }
    }
    if let Some(id) = fields.get("tool_call_id").and_then(Value::as_str) {
        let (name, id) = (names.get(id).cloned(), id.to_owned());
        if let (Some(name), false) = (name, fields.contains_key("name")) {
            fields.insert("name".into(), name);
        }
        if short_ids {
            fields.insert("tool_call_id".into(), short(&id).into());
        }
    }
    let lacks = fields.get("content").is_none_or(Value::is_null);
    if empty && lacks {
        fields.insert("content".into(), "".into());
    }
}

/// An id of nine letters and digits, as Mistral's templates want it; the same for the same id.
fn short(id: &str) -> String {
    let fits = id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fits {
        return id.to_owned();
    }
    // FNV-1a.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let letters = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut letter = || {
        let letter = letters[(hash % 36) as usize];
        hash /= 36;
        char::from(letter)
    };
    (0..9).map(|_| letter()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_without_calls_stay() {
        let input = json!({"messages": [{"role": "user", "content": "Hm?"}]});
        let all: Vec<_> = variants(&input).collect();
        assert_eq!(all, [Cow::Borrowed(&input)]);
    }

    #[test]
    fn calls_are_told_in_every_way() {
        let call = json!({"id": "call_1", "function": {"name": "f", "arguments": "{\"a\": 1}"}});
        let input = json!({"messages": [
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "2"},
        ]});
        let all: Vec<_> = variants(&input).collect();
        assert_eq!(all.len(), 8);
        let first = &all[0]["messages"];
        assert_eq!(first[0]["tool_calls"][0]["function"]["arguments"]["a"], 1);
        assert_eq!(first[1]["name"], "f");
        let last = &all[7]["messages"];
        assert_eq!(last[0]["content"], "");
        let arguments = &last[0]["tool_calls"][0]["function"]["arguments"];
        assert_eq!(arguments, "{\"a\": 1}");
        assert_eq!(last[0]["tool_calls"][0]["id"], last[1]["tool_call_id"]);
        assert_eq!(last[1]["tool_call_id"].as_str().map(str::len), Some(9));
    }
}
