//! Chat templates of well-known models render as Python's Jinja2 renders them, byte for byte, and refuse what it refuses.

use std::path::Path;

use lantern_engine::{
    ChatTemplate, Error, Message, ModelFile, conversation,
    file::{self, Metadata},
};
use serde_json::{Map, Value, json};

use crate::support::models::folder;

/// The day on which the references were made.
const THAT_DAY: &str = "2026-01-15";

#[test]
fn every_reference_case_renders_exactly() {
    let Some(folder) = crate::support::shared::reference("chat-templates") else {
        return;
    };
    let mut cases = 0;
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "jinja")
        {
            cases += check(&path);
        }
    }
    assert!(cases >= 35, "only {cases} cases");
}

/// Renders all cases of one template; how many there were.
fn check(path: &Path) -> usize {
    let source = std::fs::read_to_string(path).unwrap();
    let cases = std::fs::read_to_string(path.with_extension("json")).unwrap();
    let cases: Map<String, Value> = serde_json::from_str(&cases).unwrap();
    let template = ChatTemplate::new(&source)
        .unwrap()
        .with_now(THAT_DAY)
        .unwrap();
    for (name, case) in &cases {
        let rendered = template.render(&case["input"]);
        let title = format!("{} {name}", path.display());
        match (case.get("output"), case.get("error")) {
            (Some(output), None) => {
                assert_eq!(rendered.unwrap(), output.as_str().unwrap(), "{title}");
            }
            (None, Some(_)) => assert!(
                matches!(rendered, Err(Error::Template(_))),
                "{title}: {rendered:?}"
            ),
            _ => panic!("{title} has no outcome"),
        }
    }
    cases.len()
}

/// Templates of `methods.json`, each with what Jinja2 makes of it.
#[test]
fn methods_filters_and_tests_are_pythons() {
    let text = std::fs::read_to_string(folder("trials/template-python/methods.json")).unwrap();
    let methods: Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert!(methods.len() >= 16);
    for (source, value) in &methods {
        assert_eq!(
            render(source, &json!({})).unwrap(),
            value.as_str().unwrap(),
            "{source}"
        );
    }
}

fn trial(template: &str) -> String {
    let read = |name: &str| std::fs::read_to_string(folder("trials").join(name)).unwrap();
    let (beside, _) = template.split_once('/').unwrap();
    let input = serde_json::from_str(&read(&format!("{beside}/input.json"))).unwrap();
    render(&read(template), &input).unwrap()
}

#[test]
fn a_template_of_windows_has_no_carriage_returns() {
    let rendered = trial("template-crlf/chatml-crlf.jinja");
    assert_eq!(
        rendered,
        "<|im_start|>user\nHi<|im_end|><|im_start|>assistant\n"
    );
    assert_eq!(render("a\r\n\r\n", &json!({})).unwrap(), "a\n"); // one line end at the end goes
}

#[test]
fn json_has_the_separators_and_the_order_asked_for() {
    assert_eq!(
        trial("template-tojson/separators.jinja"),
        "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"x\",\"parameters\":{}}}]\nHi"
    );
    let sorted = "[\n  {\n    \"function\": {\n      \"description\": \"x\",\n      \"name\": \"f\",\n      \"parameters\": {}\n    },\n    \"type\": \"function\"\n  }\n]\nHi";
    assert_eq!(trial("template-tojson/sort-keys.jinja"), sorted);
}

#[test]
fn what_is_null_in_a_message_is_not_there() {
    let input =
        json!({"messages": [{"role": "assistant", "content": null, "tool_calls": [{"id": null}]}]});
    let source =
        "[{{ messages[0].content }}]{{ 'content' in messages[0] }}{{ messages[0].tool_calls }}";
    assert_eq!(render(source, &input).unwrap(), "[]False[{'id': None}]");
    let thought = json!({"messages": [{"role": "assistant", "thinking": "hm"}]});
    assert_eq!(
        render("{{ messages[0].reasoning_content }}", &thought).unwrap(),
        "hm"
    );
}

/// A template that raises an exception at a system message, in a model of 60 KB.
#[test]
fn a_refused_system_message_goes_before_the_first_user_message() {
    let file = ModelFile::open(&folder("trials/system-refused.gguf")).unwrap();
    let (template, tokenizer) = (
        file.chat_template().unwrap().unwrap(),
        file.tokenizer().unwrap(),
    );
    let message = |role, text| Message::new(role, text);
    let prompt = |messages: &[Message]| conversation(&template, &tokenizer, messages, false);
    let moved = prompt(&[message("system", "Be brief"), message("user", "Hi")]).unwrap();
    let merged = prompt(&[message("user", "Be brief\nHi")]).unwrap();
    assert!(moved.system_moved && !merged.system_moved);
    assert_eq!(moved.tokens, merged.tokens);
    // What is wrong otherwise is said as it is.
    for messages in [
        &[message("system", "Be brief")][..],
        &[message("system", "Be brief"), message("assistant", "Hi")],
    ] {
        let refusal = prompt(messages).unwrap_err().to_string();
        assert!(refusal.contains("System role not supported"), "{refusal}");
    }
}

#[test]
fn of_several_templates_tools_take_their_own() {
    let entries = |entries: &[(&str, &str)]| {
        let mut metadata = Metadata::default();
        for (key, text) in entries {
            let text = file::Value::Text((*text).to_owned());
            metadata.0.insert((*key).to_owned(), text);
        }
        ChatTemplate::from_metadata(&metadata)
    };
    let key = "tokenizer.chat_template";
    let own = "tokenizer.chat_template.tool_use";
    let (with, without) = (json!({"tools": []}), json!({"tools": null}));
    let both = entries(&[(key, "plain"), (own, "tools")]).unwrap().unwrap();
    assert_eq!(both.render(&with).unwrap(), "tools");
    assert_eq!(both.render(&without).unwrap(), "plain");
    assert_eq!(both.source(), "plain");
    let lone = entries(&[(own, "tools")]).unwrap().unwrap();
    assert_eq!(lone.render(&with).unwrap(), "tools");
    let refusal = lone.render(&without).unwrap_err().to_string();
    assert!(
        refusal.contains("(tool_use) and none that is named default"),
        "{refusal}"
    );
    assert!(entries(&[(key, " \n")]).unwrap().is_none());
    assert!(entries(&[(key, "{% if")]).is_err());
}

fn render(source: &str, input: &Value) -> Result<String, Error> {
    ChatTemplate::new(source)?
        .with_now("2026-01-15T13:45:07")?
        .render(input)
}

#[test]
fn json_is_written_as_python_writes_it() {
    let tool =
        json!({"b": [1, 2.5, true, null, {}], "a": "é \"quoted\" <tag> 'x'\n\u{1}", "e": []});
    let input = json!({ "tool": tool });
    assert_eq!(
        render("{{ tool | tojson }}", &input).unwrap(),
        r#"{"b": [1, 2.5, true, null, {}], "a": "é \"quoted\" <tag> 'x'\n\u0001", "e": []}"#
    );
    assert_eq!(
        render(
            "{{ {'k': [1, {'l': 2}], 'm': []} | tojson(indent=2) }}",
            &input
        )
        .unwrap(),
        "{\n  \"k\": [\n    1,\n    {\n      \"l\": 2\n    }\n  ],\n  \"m\": []\n}"
    );
    assert_eq!(
        render("{{ 'é🦙' | tojson(ensure_ascii=true) }}", &input).unwrap(),
        r#""\u00e9\ud83e\udd99""#
    );
    assert!(render("{{ nothing | tojson }}", &input).is_err());
}

#[test]
fn values_are_printed_as_python_prints_them() {
    let input = json!({"x": {"a": [true, null, 1.0, "it's"]}});
    assert_eq!(
        render("{{ x }} {{ x.a[0] }} {{ none }} {{ x.a | string }}", &input).unwrap(),
        "{'a': [True, None, 1.0, \"it's\"]} True None [True, None, 1.0, \"it's\"]"
    );
}

#[test]
fn tags_on_lines_of_their_own_leave_nothing_behind() {
    let source =
        "{% for m in messages %}\n    {% if m %}\n{{ m }}\n    {% endif %}\n{% endfor %}\nend\n";
    assert_eq!(
        render(source, &json!({"messages": ["a", "b"]})).unwrap(),
        "a\nb\nend"
    );
}

#[test]
fn loops_break_and_methods_are_pythons() {
    let source = "{% for m in messages[::-1] %}{% if m == 'b' %}{% continue %}{% endif %}{% if m == 'z' %}{% break %}{% endif %}\
                  {{ m.upper().strip('C') }}-{% endfor %}{% set ns = namespace(n=0) %}{% set ns.n = ns.n + 1 %}{{ ns.n }}\
                  {{ d.get('k', 'none') }}{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}";
    let input = json!({"messages": ["z", "a", "b", "cd"], "d": {"y": 1, "x": 2}});
    assert_eq!(render(source, &input).unwrap(), "D-A-1noney=1;x=2;");
}

#[test]
fn the_clock_can_be_stopped() {
    let source = "{{ strftime_now('%d %b %Y %H:%M:%S') }}";
    assert_eq!(render(source, &json!({})).unwrap(), "15 Jan 2026 13:45:07");
    let running = ChatTemplate::new("{{ strftime_now('%Y') }}").unwrap();
    assert!(running.render(&json!({})).unwrap().parse::<u32>().unwrap() >= 2025);
    let template = ChatTemplate::new("").unwrap();
    assert!(matches!(
        template.with_now("yesterday"),
        Err(Error::BadInput(_))
    ));
}

#[test]
fn generation_marks_print_nothing() {
    let source = "a\n{%- generation -%}\n b {% endgeneration %}\nc {{ '{% generation' }}";
    assert_eq!(render(source, &json!({})).unwrap(), "ab c {% generation");
}

#[test]
fn missing_keys_are_undefined_and_errors_name_the_line() {
    let input = json!({"messages": [{"role": "user"}]});
    assert_eq!(
        render(
            "[{{ messages[0].content }}{{ tools }}{{ tools is defined }}]",
            &input
        )
        .unwrap(),
        "[False]"
    );
    for (source, line) in [
        ("\n{{ messages[0].content.parts }}", "line 2"),
        ("\n\n{{ raise_exception('no system role') }}", "line 3"),
        ("{% if %}", "line 1"),
        ("\n{{ 'a' + nothing }}", "line 2"),
        ("{{ strftime_now('%') }}", "line 1"),
        ("{{ unknown_function() }}", "line 1"),
    ] {
        match render(source, &input) {
            Err(Error::Template(message)) => assert!(message.contains(line), "{source}: {message}"),
            other => panic!("{source}: {other:?}"),
        }
    }
    assert!(matches!(render("", &json!([])), Err(Error::BadInput(_))));
}

/// On a stack of a mebibyte, which is all that a browser has.
#[test]
fn a_template_that_never_ends_or_fills_the_memory_is_stopped() {
    let small = std::thread::Builder::new().stack_size(1 << 20);
    small
        .spawn(endless_ones_are_stopped)
        .unwrap()
        .join()
        .unwrap();
}

fn endless_ones_are_stopped() {
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";
    let large = "{% set x = 'aaaaaaaaaaaaaaaa' * 99999999999 %}{{ x }}";
    let deep = "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}";
    let doubling = "{% set ns = namespace(x='abcdefgh') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}";
    let indented = "{{ [[[[]]]] | tojson(indent=99999999999) }}";
    let called = "{% macro f(x) %}{% call(y) f([x, {'k': x}]) %}{{ caller(x) | default(f(y)) }}{% endcall %}{{ caller(1) }}{% endmacro %}{{ f(1) }}";
    let through = "{% macro f(x) %}{% for i in [x] | map('list') %}{% if i is not string %}{% set y %}{{ f(('a' ~ f(i))) }}{% endset %}{% endif %}{% endfor %}{% endmacro %}{{ f('') }}";
    for source in [endless, large, deep, doubling, indented, called, through] {
        assert!(
            matches!(render(source, &json!({})), Err(Error::Template(_))),
            "{source}"
        );
    }
    let build = |item: &str, use_it: &str| {
        format!(
            "{{% set ns = namespace(x=1) %}}{{% for i in range(5000) %}}{{% set ns.x = {item} %}}{use_it}{{% endfor %}}"
        )
    };
    for use_it in ["{{ ns.x }}", "{{ ns.x | tojson }}", "{{ ns.x | string }}"] {
        for item in ["[ns.x]", "{'k': ns.x}", "[ns.x, ns.x]"] {
            let rendered = render(&build(item, use_it), &json!({}));
            assert!(
                matches!(rendered, Err(Error::Template(_))),
                "{item} {use_it}"
            );
        }
    }
    let nested = format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(matches!(
        render(&nested, &json!({})),
        Err(Error::Template(_))
    ));
}
