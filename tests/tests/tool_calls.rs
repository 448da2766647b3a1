//! Calls of tools in every form that models write them: what a grammar lets a model say is read back, and what models say by
//! themselves is, too. The model knows nothing; what it says is forced.

use std::ops::ControlFlow;

use lantern_engine::{
    ChatTemplate, Completion, CompletionEvent, CompletionOptions, FinishReason, LoadOptions,
    Prompt, SamplerOptions, Session, Tokenizer, ToolCall, ToolChoice, file::Value as Entry,
};
use pollster::block_on;
use serde_json::{Value, json};

use crate::support::{
    adapters,
    models::{folder, load},
    vocabulary::{Mark, printable},
};

/// Kind of tokens that are no text, as GGUF numbers it.
const CONTROL: i64 = 3;

/// Texts of templates, by which forms are known, and the marks that are tokens.
const FORMS: &[(&str, &[&str])] = &[
    ("tools <tool_call>", &["<tool_call>", "</tool_call>"]),
    ("tools <tool_call> <function=", &[]),
    (
        "tools <seed:tool_call>",
        &["<seed:tool_call>", "</seed:tool_call>"],
    ),
    (
        "tools <tool_call> <arg_key>",
        &["<tool_call>", "</tool_call>", "<arg_key>", "</arg_value>"],
    ),
    (
        "tools <minimax:tool_call>",
        &["<minimax:tool_call>", "</minimax:tool_call>"],
    ),
    (
        "tools <|tool_call_start|>",
        &["<|tool_call_start|>", "<|tool_call_end|>"],
    ),
    ("tools [TOOL_CALLS]", &["[TOOL_CALLS]"]),
    ("tools [TOOL_CALLS] [ARGS]", &["[TOOL_CALLS]", "[ARGS]"]),
    (
        "tools <|START_ACTION|>",
        &["<|START_ACTION|>", "<|END_ACTION|>"],
    ),
    ("tools Action: ```json tool_name", &[]),
    ("tools <|tool_call|>", &["<|tool_call|>"]),
    ("tools <|/tool_call|>", &["<|tool_call|>", "<|/tool_call|>"]),
    ("tools <TOOLCALL>", &[]),
    ("tools <function_calls>", &[]),
    ("tools [func_name1(", &[]),
    ("tools \"parameters\": dictionary", &["<|python_tag|>"]),
    (
        "tools <|tool_call>",
        &["<|tool_call>", "<tool_call|>", "<|\"|>"],
    ),
    (
        "tools <｜tool▁call▁begin｜>",
        &[
            "<｜tool▁calls▁begin｜>",
            "<｜tool▁calls▁end｜>",
            "<｜tool▁call▁begin｜>",
            "<｜tool▁call▁end｜>",
            "<｜tool▁sep｜>",
        ],
    ),
    (
        "tools <｜tool▁call▁begin｜> ```json",
        &[
            "<｜tool▁calls▁begin｜>",
            "<｜tool▁calls▁end｜>",
            "<｜tool▁call▁begin｜>",
            "<｜tool▁call▁end｜>",
            "<｜tool▁sep｜>",
        ],
    ),
    (
        "tools <|tool_call_argument_begin|>",
        &[
            "<|tool_calls_section_begin|>",
            "<|tool_calls_section_end|>",
            "<|tool_call_begin|>",
            "<|tool_call_end|>",
            "<|tool_call_argument_begin|>",
        ],
    ),
    (
        "tools",
        &[
            "<|channel|>",
            "<|message|>",
            "<|start|>",
            "<|end|>",
            "<|call|>",
            "<|return|>",
            "<|constrain|>",
        ],
    ),
    // A template that knows none.
    ("", &[]),
];

fn tokenizer(marks: &[&str]) -> Tokenizer {
    let marks: Vec<Mark<'_>> = marks.iter().map(|mark| (*mark, CONTROL)).collect();
    let ends = ["bos_token_id", "eos_token_id"].map(|key| (key, Entry::Unsigned(1)));
    printable(&[("<unk>", 2), ("<s>", CONTROL)], &marks, &ends)
}

fn tools() -> Value {
    let schema = json!({
        "type": "object",
        "properties": {
            "city": {"type": "string", "enum": ["Oslo", "Rome"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 9},
            "warm": {"type": "boolean"},
        },
        "required": ["city", "days"],
        "additionalProperties": false,
    });
    let one =
        |name: &str| json!({"type": "function", "function": {"name": name, "parameters": schema}});
    json!([one("weather"), one("walks")])
}

fn template(text: &str) -> ChatTemplate {
    ChatTemplate::new(&format!("{{{{ messages[0].content }}}}{{#{text}#}}")).unwrap()
}

fn session() -> Session {
    let gpu = adapters::open(&adapters::main());
    let path = folder("families").join("llama.gguf");
    let model = load(&gpu, &path, &LoadOptions::default());
    block_on(model.session()).unwrap()
}

/// Answer of a model that can say nothing but calls, and the calls as they were told of.
fn forced(
    session: &mut Session,
    (text, tokenizer): (&str, &Tokenizer),
    choice: ToolChoice,
    (parallel, seed): (bool, u64),
) -> (Completion, Vec<ToolCall>) {
    let template = template(text);
    let prompt = tokenizer.encode_text("Hm?").unwrap();
    let tools = template
        .tools(tokenizer, &tools(), choice, parallel)
        .unwrap();
    let prompt = Prompt {
        reasoning: template.reasoning(tokenizer, &prompt),
        tools: tools.as_ref(),
        ..Prompt::from(&prompt[..])
    };
    let mut sampler = SamplerOptions::default().seed(seed);
    sampler.set("temperature", 1.0).unwrap();
    let options = CompletionOptions::default()
        .reasoning_budget(3)
        .sampler(sampler);
    let mut told: Vec<ToolCall> = Vec::new();
    let mut each = |event: CompletionEvent<'_>| {
        if let CompletionEvent::ToolCall {
            index,
            name,
            arguments,
        } = event
        {
            if !name.is_empty() {
                assert_eq!(index, told.len());
                told.push(ToolCall::default());
            }
            told[index].name += name;
            told[index].arguments += arguments;
        }
        ControlFlow::Continue(())
    };
    let completed = session.complete(tokenizer, prompt, &options, &mut each);
    (block_on(completed).unwrap(), told)
}

/// Mistake in calls that a grammar made. Where there may be several, the context may be too short for them.
fn problem(said: &Completion, told: &[ToolCall], parallel: bool) -> Option<String> {
    let cut = parallel && said.finish_reason == FinishReason::ContextFull;
    let mut calls = &said.tool_calls[..];
    if cut {
        calls = &calls[..calls.len().saturating_sub(1)];
    } else if said.finish_reason != FinishReason::Stop || !said.text.trim().is_empty() {
        return Some(format!("{:?}, text {:?}", said.finish_reason, said.text));
    }
    let count = said.tool_calls.len();
    if count == 0 && !cut || count > 1 && !parallel || said.tool_calls != told {
        return Some(format!("{:?}, told of as {told:?}", said.tool_calls));
    }
    let sound = |call: &ToolCall| {
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        let (city, days) = (&arguments["city"], arguments["days"].as_i64());
        ["weather", "walks"].contains(&&*call.name)
            && (city == "Oslo" || city == "Rome")
            && days.is_some_and(|days| (1..=9).contains(&days))
            && (arguments["warm"].is_null() || arguments["warm"].is_boolean())
    };
    let wrong = calls.iter().find(|call| !sound(call));
    wrong.map(|call| format!("{call:?}"))
}

#[test]
fn gpu_what_a_grammar_allows_is_read_back() {
    let mut session = session();
    let (mut problems, mut several) = (Vec::new(), 0);
    for (text, marks) in FORMS {
        let tokenizer = tokenizer(marks);
        for seed in 0..3 {
            let parallel = seed == 2;
            let form = (*text, &tokenizer);
            let (said, told) = forced(&mut session, form, ToolChoice::Required, (parallel, seed));
            several += usize::from(said.tool_calls.len() > 1);
            if let Some(problem) = problem(&said, &told, parallel) {
                let shown = tokenizer.decode(&said.tokens);
                problems.push(format!("{text}: {problem} in {shown:?}"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(several > 5, "only {several} answers have several calls");
}

#[test]
fn gpu_a_named_tool_is_the_one_that_is_called() {
    let mut session = session();
    let tokenizer = tokenizer(&["<tool_call>", "</tool_call>"]);
    for name in ["weather", "walks"] {
        let choice = ToolChoice::Named(name.to_owned());
        let (said, _) = forced(&mut session, ("", &tokenizer), choice, (false, 0));
        assert_eq!(said.tool_calls[0].name, name);
    }
    let none = template("").tools(&tokenizer, &tools(), ToolChoice::None, true);
    assert_eq!(none.unwrap(), None);
}

#[test]
fn tools_that_are_none_are_refused_with_their_place() {
    let tokenizer = tokenizer(&[]);
    let refusal = |tools: Value, choice| {
        let error = template("").tools(&tokenizer, &tools, choice, true);
        error.unwrap_err().to_string()
    };
    let auto = || ToolChoice::Auto;
    let twice = json!([tools()[0], tools()[0]]);
    let cases = [
        (json!({}), auto(), "not a list"),
        (json!([{"type": "web_search"}]), auto(), "tools[0]: type"),
        (
            json!([{"type": "function", "function": {}}]),
            auto(),
            "function.name is missing",
        ),
        (
            json!([{"type": "function", "function": {"name": "a b"}}]),
            auto(),
            "other characters",
        ),
        (
            json!([{"type": "function", "function": {"name": "a", "parameters": 1}}]),
            auto(),
            "parameters",
        ),
        (twice, auto(), "tools[1]: there is another"),
        (tools(), ToolChoice::Named("f".into()), "no tool f"),
        (json!([]), ToolChoice::Required, "no tools"),
    ];
    for (tools, choice, wanted) in cases {
        let said = refusal(tools, choice);
        assert!(said.contains(wanted), "{said}");
    }
}
