//! The table of the ways in which models write calls. Each is known by texts of its template or tokens of its vocabulary.

/// Way to write calls.
#[derive(Debug)]
pub(super) struct CallFormat {
    /// Texts that the template or the vocabulary has, all of them.
    pub known_by: &'static [&'static str],
    /// Texts before calls; empty: the answer begins with them.
    pub open: &'static str,
    /// Text after them; empty: they end with the answer, or where the next begin.
    pub close: &'static str,
    /// Texts before the first and after the last call that say nothing.
    pub around: [&'static str; 2],
    /// Form of calls between `open` and `close`.
    pub form: Form,
}

/// Form of calls between their marks.
#[derive(Debug)]
pub(super) enum Form {
    /// An object with a name and arguments under these keys, or, with `list`, a list of them.
    Json {
        /// A list.
        list: bool,
        /// Key of the name.
        name: &'static str,
        /// Key of the arguments.
        arguments: &'static str,
    },
    /// A name and a JSON object, between these texts.
    Named([&'static str; 3]),
    /// Elements like those of XML, one for each argument.
    Elements(Elements),
    /// Calls as Python has them, `f(a=1)`: in one list, or a line each.
    Python {
        /// Between brackets.
        list: bool,
    },
    /// Gemma 4's `call:f{a:1,b:<|"|>text<|"|>}`.
    Gemma,
    /// OpenAI's harmony: a part's header names the tool (see `reasoning`), and its text is the JSON object.
    Harmony,
}

/// Texts around the name, the keys and the values of a call.
#[derive(Debug)]
pub(super) struct Elements {
    /// Before and after the name.
    pub name: [&'static str; 2],
    /// Before and after a key.
    pub key: [&'static str; 2],
    /// Before and after a value.
    pub value: [&'static str; 2],
    /// After the last argument.
    pub end: &'static str,
}

const fn json(list: bool, name: &'static str, arguments: &'static str) -> Form {
    Form::Json {
        list,
        name,
        arguments,
    }
}

const fn marks(
    known_by: &'static [&'static str],
    open: &'static str,
    close: &'static str,
    form: Form,
) -> CallFormat {
    CallFormat {
        known_by,
        open,
        close,
        around: ["", ""],
        form,
    }
}

const DEEPSEEK: [&str; 2] = ["<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"];
const KIMI: [&str; 2] = ["<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"];

const fn deepseek(known_by: &'static [&'static str], around: [&'static str; 3]) -> CallFormat {
    CallFormat {
        around: DEEPSEEK,
        ..marks(
            known_by,
            "<｜tool▁call▁begin｜>",
            "<｜tool▁call▁end｜>",
            Form::Named(around),
        )
    }
}

/// Names and values in tags that hold their names: Qwen 3 Coder, Qwen 3.5, Nemotron 3, Seed-OSS.
const FUNCTIONS: Elements = Elements {
    name: ["<function=", ">"],
    key: ["<parameter=", ">"],
    value: ["\n", "\n</parameter>"],
    end: "\n</function>\n",
};

/// Hermes 2 and most others (Qwen 2.5 and 3, SmolLM 3, Granite 4); also what models are asked for whose templates know no
/// tools.
pub(super) const HERMES: CallFormat = marks(
    &["<tool_call>"],
    "<tool_call>",
    "</tool_call>",
    json(false, "name", "arguments"),
);

/// All of them; the first that fits counts.
pub(super) const FORMATS: &[CallFormat] = &[
    // gpt-oss.
    marks(
        &["<|channel|>", "<|message|>", "<|call|>"],
        "",
        "",
        Form::Harmony,
    ),
    // DeepSeek R1 and V3, then V3.1.
    deepseek(
        &["<｜tool▁call▁begin｜>", "```json"],
        ["function<｜tool▁sep｜>", "\n```json\n", "\n```"],
    ),
    deepseek(&["<｜tool▁call▁begin｜>"], ["", "<｜tool▁sep｜>", ""]),
    // Kimi K2.
    CallFormat {
        around: KIMI,
        ..marks(
            &["<|tool_call_argument_begin|>"],
            "<|tool_call_begin|>",
            "<|tool_call_end|>",
            Form::Named(["functions.", ":0<|tool_call_argument_begin|>", ""]),
        )
    },
    // Gemma 4.
    marks(
        &["<|tool_call>"],
        "<|tool_call>",
        "<tool_call|>",
        Form::Gemma,
    ),
    // MiniMax M2.
    marks(
        &["<minimax:tool_call>"],
        "<minimax:tool_call>",
        "</minimax:tool_call>",
        Form::Elements(Elements {
            name: ["<invoke name=\"", "\">"],
            key: ["<parameter name=\"", "\">"],
            value: ["", "</parameter>"],
            end: "\n</invoke>\n",
        }),
    ),
    marks(
        &["<seed:tool_call>"],
        "<seed:tool_call>",
        "</seed:tool_call>",
        Form::Elements(Elements {
            value: ["", "</parameter>"],
            ..FUNCTIONS
        }),
    ),
    marks(
        &["<tool_call>", "<function="],
        "<tool_call>",
        "</tool_call>",
        Form::Elements(FUNCTIONS),
    ),
    // GLM 4.5 and later.
    marks(
        &["<tool_call>", "<arg_key>"],
        "<tool_call>",
        "</tool_call>",
        Form::Elements(Elements {
            name: ["", "\n"],
            key: ["<arg_key>", "</arg_key>\n"],
            value: ["<arg_value>", "</arg_value>"],
            end: "\n",
        }),
    ),
    HERMES,
    // LFM2.
    marks(
        &["<|tool_call_start|>"],
        "<|tool_call_start|>",
        "<|tool_call_end|>",
        Form::Python { list: true },
    ),
    // Mistral from 2025 (tokenizers v11 and later), then before.
    marks(
        &["[TOOL_CALLS]", "[ARGS]"],
        "[TOOL_CALLS]",
        "",
        Form::Named(["", "[ARGS]", ""]),
    ),
    marks(
        &["[TOOL_CALLS]"],
        "[TOOL_CALLS]",
        "",
        json(true, "name", "arguments"),
    ),
    // Command R7B and Command A, then Command R.
    marks(
        &["<|START_ACTION|>"],
        "<|START_ACTION|>",
        "<|END_ACTION|>",
        json(true, "tool_name", "parameters"),
    ),
    marks(
        &["Action:", "```json", "tool_name"],
        "Action: ```json",
        "```",
        json(true, "tool_name", "parameters"),
    ),
    // Phi 4 mini, then Granite 3.
    marks(
        &["<|/tool_call|>"],
        "<|tool_call|>",
        "<|/tool_call|>",
        json(true, "name", "arguments"),
    ),
    marks(
        &["<|tool_call|>"],
        "<|tool_call|>",
        "",
        json(true, "name", "arguments"),
    ),
    // Nemotron Nano 2.
    marks(
        &["<TOOLCALL>"],
        "<TOOLCALL>",
        "</TOOLCALL>",
        json(true, "name", "arguments"),
    ),
    // Olmo 3.
    marks(
        &["<function_calls>"],
        "<function_calls>",
        "</function_calls>",
        Form::Python { list: false },
    ),
    // Llama 4, and Llama 3.2 where it was asked for Python.
    marks(&["[func_name1("], "", "", Form::Python { list: true }),
    // Llama 3.1 to 3.3.
    marks(
        &["\"parameters\": dictionary"],
        "",
        "",
        json(false, "name", "parameters"),
    ),
];

impl CallFormat {
    /// All texts that are no part of a name or an argument, and may be tokens of their own.
    pub fn marks(&self) -> impl Iterator<Item = &'static str> {
        let inner = match &self.form {
            Form::Named(texts) => texts.to_vec(),
            Form::Elements(form) => [form.name, form.key, form.value, [form.end, ""]].concat(),
            Form::Gemma => vec!["<|\"|>"],
            // Before what Llama calls.
            Form::Json { .. } if self.open.is_empty() => vec!["<|python_tag|>"],
            _ => vec![],
        };
        let outer = [self.open, self.close, self.around[0], self.around[1]];
        outer.into_iter().chain(inner)
    }

    /// Whether calls are written as a list.
    pub fn is_list(&self) -> bool {
        matches!(
            self.form,
            Form::Python { list: true } | Form::Json { list: true, .. }
        )
    }

    /// Whether calls are parts with headers.
    pub fn is_harmony(&self) -> bool {
        matches!(self.form, Form::Harmony)
    }
}
