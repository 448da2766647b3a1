//! Calls taken apart from the text around them, as it comes.

use super::{ToolCall, Tools, formats::CallFormat, read};
use crate::text::reasoning::{Begins, Said, begins, certain};

/// Takes the answer of a model apart: text, and calls.
#[derive(Debug, Clone)]
pub(in crate::text) struct Calls {
    tools: Tools,
    /// Text that is not settled: what may be the start of a mark, or calls that are not whole.
    held: String,
    part: Part,
    /// Calls that are held, as far as they were told of.
    told: Vec<ToolCall>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Nothing but white space has come.
    Begin,
    Text,
    /// White space after calls, which is none of the answer's.
    After,
    Calls,
}

/// Text before what Llama calls.
const PYTHON_TAG: &str = "<|python_tag|>";

impl Calls {
    pub fn new(tools: &Tools) -> Calls {
        Calls {
            tools: tools.clone(),
            held: String::new(),
            part: Part::Begin,
            told: Vec::new(),
        }
    }

    fn format(&self) -> &'static CallFormat {
        self.tools.0.format
    }

    /// Pieces that are certain with this text.
    pub fn push(&mut self, text: &str) -> Vec<Said> {
        self.held.push_str(text);
        let mut said = Vec::new();
        while self.step(&mut said) {}
        said
    }

    /// Pieces that were held back, at the end of the answer.
    pub fn finish(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        let held = std::mem::take(&mut self.held);
        match self.part {
            Part::Calls => self.close(&held, "", &mut said),
            Part::After if held.trim().is_empty() => {}
            _ => said.extend((!held.is_empty()).then_some(Said::Answer(held))),
        }
        said
    }

    /// Takes what is certain from the text that is held; false where more text is needed.
    fn step(&mut self, said: &mut Vec<Said>) -> bool {
        let format = self.format();
        if format.is_harmony() {
            said.extend(text(std::mem::take(&mut self.held)));
            return false;
        }
        match self.part {
            Part::Begin if format.open.is_empty() => {
                let white = self.held.len() - self.held.trim_start().len();
                let starts = [PYTHON_TAG, if format.is_list() { "[" } else { "{" }];
                match begins(&self.held[white..], &starts) {
                    Begins::With(mark) => {
                        let tag = if mark == 1 { 0 } else { mark };
                        self.held.drain(..white + tag);
                        self.part = Part::Calls;
                    }
                    Begins::Maybe => return false,
                    Begins::Otherwise => self.part = Part::Text,
                }
                true
            }
            Part::Begin | Part::Text | Part::After => self.text(format, said),
            Part::Calls => self.calls(format, said),
        }
    }

    /// Text up to where calls begin.
    fn text(&mut self, format: &CallFormat, said: &mut Vec<Said>) -> bool {
        if format.open.is_empty() {
            said.extend(text(std::mem::take(&mut self.held)));
            return false;
        }
        let marks = [format.open, format.around[0], format.around[1]];
        let marks = &marks[..if format.around[0].is_empty() { 1 } else { 3 }];
        let found = marks
            .iter()
            .filter_map(|mark| Some((self.held.find(mark)?, *mark)));
        let first = found.min();
        let end = first.map_or_else(|| certain(&self.held, marks), |(at, _)| at);
        // White space before calls and after them is none of the answer's.
        let before = self.held[..end].trim_end();
        let before = match self.part {
            Part::After => before.trim_start(),
            _ => before,
        };
        if !before.is_empty() {
            said.push(Said::Answer(before.to_owned()));
            self.part = Part::Text;
        }
        let Some((at, mark)) = first else {
            let kept = self.held[..end].trim_end().len();
            self.held.drain(..kept);
            return false;
        };
        self.held.drain(..at + mark.len());
        self.part = if mark == format.open {
            Part::Calls
        } else {
            Part::After
        };
        true
    }

    /// Calls up to where they end.
    fn calls(&mut self, format: &CallFormat, said: &mut Vec<Said>) -> bool {
        // Without a mark of their end they go on to the next, or to the end of all.
        let mark = match (format.close, format.open) {
            ("", open) => open,
            (close, _) => close,
        };
        let end = (!mark.is_empty()).then(|| self.held.find(mark)).flatten();
        let Some(end) = end else {
            let known = certain(
                &self.held,
                if mark.is_empty() {
                    &[]
                } else {
                    std::slice::from_ref(&mark)
                },
            );
            let held = self.held[..known].to_owned();
            self.tell(&held, false, said);
            return false;
        };
        let rest = self.held.split_off(end + mark.len());
        let held = std::mem::replace(&mut self.held, rest);
        self.close(&held[..end], mark, said);
        if !format.close.is_empty() {
            self.part = Part::After;
        }
        true
    }

    /// Tells of calls that are whole; where they are none, and nothing was told, they are text.
    fn close(&mut self, held: &str, mark: &str, said: &mut Vec<Said>) {
        if !self.tell(held, true, said) && self.told.is_empty() {
            let open = self.format().open;
            let close = if mark == open { "" } else { mark };
            said.extend(text(format!("{open}{held}{close}")));
        }
        self.told.clear();
    }

    /// Tells what is new of the calls that are held; false where they are none.
    fn tell(&mut self, held: &str, whole: bool, said: &mut Vec<Said>) -> bool {
        let known = &self.tools.0;
        let Some(calls) = read::calls(&known.format.form, held, whole, &known.tools) else {
            return false;
        };
        // Without a mark, an answer that looks like a call is one of a tool that there is.
        let there = |call: &ToolCall| known.tools.iter().any(|tool| tool.name == call.name);
        if known.format.open.is_empty() && !calls.iter().all(there) {
            return false;
        }
        for (at, call) in calls.into_iter().enumerate() {
            if at == self.told.len() {
                said.push(Said::Call(call.name.clone()));
                self.told.push(ToolCall {
                    name: call.name.clone(),
                    arguments: String::new(),
                });
            }
            let told = &mut self.told[at].arguments;
            if let Some(new) = call.arguments.strip_prefix(told.as_str())
                && !new.is_empty()
            {
                said.push(Said::Arguments(new.to_owned()));
                *told = call.arguments;
            }
        }
        true
    }
}

fn text(text: String) -> Option<Said> {
    (!text.is_empty()).then_some(Said::Answer(text))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::{
        super::{FORMATS, Known, ToolChoice, all},
        *,
    };

    /// The parts of an answer: its text, and the names and arguments of its calls.
    type Parts = (String, Vec<(String, String)>);

    fn tools(known_by: &str) -> Tools {
        let format = FORMATS
            .iter()
            .find(|one| one.known_by.join(" ") == known_by);
        let schema = json!({"type": "object", "properties": {
            "city": {"type": "string"}, "days": {"type": "integer"},
        }});
        let one = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": schema}});
        Tools(Arc::new(Known {
            format: format.unwrap_or_else(|| panic!("{known_by} is no format")),
            tools: all(&json!([one("f"), one("g")])).unwrap(),
            choice: ToolChoice::Auto,
            parallel: true,
        }))
    }

    fn parts(pieces: impl IntoIterator<Item = Said>) -> Parts {
        let (mut text, mut calls) = (String::new(), Vec::<(String, String)>::new());
        for said in pieces {
            match said {
                Said::Answer(more) => text += &more,
                Said::Call(name) => calls.push((name, String::new())),
                Said::Arguments(more) => calls.last_mut().unwrap().1 += &more,
                Said::Thinking(_) => panic!("there are no thoughts"),
            }
        }
        (text, calls)
    }

    /// The parts of a text that comes whole, cut in two anywhere, and character by character: the same each time.
    fn split(known_by: &str, text: &str) -> Parts {
        let tools = tools(known_by);
        let told = |pieces: &[&str]| {
            let mut calls = Calls::new(&tools);
            let mut all: Vec<Said> = pieces.iter().flat_map(|one| calls.push(one)).collect();
            all.extend(calls.finish());
            parts(all)
        };
        let whole = told(&[text]);
        for cut in (0..=text.len()).filter(|&cut| text.is_char_boundary(cut)) {
            let (first, second) = text.split_at(cut);
            assert_eq!(told(&[first, second]), whole, "{text:?} cut at {cut}");
        }
        let characters: Vec<&str> = text.split("").collect();
        assert_eq!(told(&characters), whole, "{text:?} by characters");
        whole
    }

    fn check(known_by: &str, said: &str, text: &str, calls: &[(&str, &str)]) {
        let (answer, found) = split(known_by, said);
        assert_eq!(answer, text, "{said}");
        let found: Vec<_> = found.iter().map(|(a, b)| (&**a, &**b)).collect();
        assert_eq!(found, calls, "{said}");
    }

    const HERMES: &str = "<tool_call>";
    const SPACED: (&str, &str) = ("f", r#"{"city": "Oslo", "days": 2}"#);
    const TIGHT: (&str, &str) = ("f", r#"{"city":"Oslo","days":2}"#);

    #[test]
    fn objects_between_marks() {
        let call = r#"<tool_call>
{"name": "f", "arguments": {"city": "Oslo", "days": 2}}
</tool_call>"#;
        check(HERMES, call, "", &[SPACED]);
        let said = format!("Let me see.\n{call}\n<tool_call>{{\"name\":\"g\"}}</tool_call>\n");
        check(HERMES, &said, "Let me see.", &[SPACED, ("g", "{}")]);
        check(HERMES, "2 <tool > 1 <tool_c", "2 <tool > 1 <tool_c", &[]);
        // Calls that are none, and one that ends too early.
        let wrong = "<tool_call>f(1)</tool_call>";
        check(HERMES, wrong, wrong, &[]);
        check(
            HERMES,
            "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": ",
            "",
            &[("f", "{\"a\": ")],
        );
        // The name behind the arguments.
        let late = r#"<tool_call>{"arguments": {"a": 1}, "name": "f"}</tool_call>"#;
        check(HERMES, late, "", &[("f", r#"{"a": 1}"#)]);
    }

    #[test]
    fn lists_behind_marks() {
        let list = r#"[{"name": "f", "arguments": {"city": "Oslo", "days": 2}}, {"name": "g", "arguments": {}}]"#;
        let both = [SPACED, ("g", "{}")];
        check("[TOOL_CALLS]", &format!("[TOOL_CALLS]{list}"), "", &both);
        check("<|tool_call|>", &format!("<|tool_call|>{list}"), "", &both);
        check(
            "<|/tool_call|>",
            &format!("<|tool_call|>{list}<|/tool_call|>"),
            "",
            &both,
        );
        check(
            "<TOOLCALL>",
            &format!("So:\n<TOOLCALL>{list}</TOOLCALL>"),
            "So:",
            &both,
        );
        let command = r#"<|START_ACTION|>[
    {"tool_call_id": "0", "tool_name": "f", "parameters": {"city": "Oslo", "days": 2}}
]<|END_ACTION|>"#;
        check("<|START_ACTION|>", command, "", &[SPACED]);
        let older = "Action: ```json\n[{\"tool_name\": \"g\", \"parameters\": {}}]\n```";
        check("Action: ```json tool_name", older, "", &[("g", "{}")]);
    }

    #[test]
    fn names_before_objects() {
        let arguments = SPACED.1;
        let said = format!("[TOOL_CALLS]f[ARGS]{arguments}[TOOL_CALLS]g[CALL_ID]1[ARGS]{{}}");
        check("[TOOL_CALLS] [ARGS]", &said, "", &[SPACED, ("g", "{}")]);
        let said = format!(
            "Hm.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{arguments}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{{}}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"
        );
        let known = "<｜tool▁call▁begin｜> ```json";
        check(known, &said, "Hm.", &[SPACED, ("g", "{}")]);
        let said = format!(
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{arguments}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"
        );
        check("<｜tool▁call▁begin｜>", &said, "", &[SPACED]);
        let said = format!(
            "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{arguments}<|tool_call_end|><|tool_call_begin|>functions.g:1<|tool_call_argument_begin|>{{}}<|tool_call_end|><|tool_calls_section_end|>"
        );
        let known = "<|tool_call_argument_begin|>";
        check(known, &said, "", &[SPACED, ("g", "{}")]);
    }

    #[test]
    fn elements_have_the_kinds_of_their_schemas() {
        let qwen = "<tool_call>\n<function=f>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>";
        check("<tool_call> <function=", qwen, "", &[TIGHT]);
        let lines = "<tool_call>\n<function=f>\n<parameter=city>\n2\n3\n</parameter>\n</function>\n</tool_call>";
        let lines_read = ("f", r#"{"city":"2\n3"}"#);
        check("<tool_call> <function=", lines, "", &[lines_read]);
        let seed = "<seed:tool_call>\n<function=f>\n<parameter=city>Oslo</parameter>\n<parameter=days>2</parameter>\n</function>\n</seed:tool_call>";
        check("<seed:tool_call>", seed, "", &[TIGHT]);
        let minimax = "<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"city\">Oslo</parameter>\n<parameter name=\"days\">2</parameter>\n</invoke>\n<invoke name=\"g\">\n</invoke>\n</minimax:tool_call>";
        check("<minimax:tool_call>", minimax, "", &[TIGHT, ("g", "{}")]);
        let glm = "<tool_call>f\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>\n<tool_call>g\n</tool_call>";
        check("<tool_call> <arg_key>", glm, "", &[TIGHT, ("g", "{}")]);
    }

    #[test]
    fn calls_as_programs_write_them() {
        let lfm = "<|tool_call_start|>[f(city=\"Oslo\", days=2)]<|tool_call_end|>Done.";
        check("<|tool_call_start|>", lfm, "Done.", &[TIGHT]);
        let olmo = "<function_calls>\nf(city='Oslo', days=2)\ng()\n</function_calls>";
        check("<function_calls>", olmo, "", &[TIGHT, ("g", "{}")]);
        check("[func_name1(", "[f(city='Oslo', days=2)]", "", &[TIGHT]);
        check("[func_name1(", "[1] says so.", "[1] says so.", &[]);
        let gemma = "<|tool_call>call:f{city:<|\"|>Oslo<|\"|>,days:2}<tool_call|>";
        check("<|tool_call>", gemma, "", &[TIGHT]);
    }

    #[test]
    fn an_answer_that_begins_like_a_call_may_be_one() {
        let known = "\"parameters\": dictionary";
        let call = r#"{"name": "f", "parameters": {"city": "Oslo", "days": 2}}"#;
        check(known, call, "", &[SPACED]);
        check(known, &format!("<|python_tag|>{call}"), "", &[SPACED]);
        check(known, &format!("{call}; {call}"), "", &[SPACED, SPACED]);
        let other = r#"{"name": "Oslo", "parameters": {}}"#;
        check(known, other, other, &[]);
        check(known, "{1, 2}", "{1, 2}", &[]);
        check(known, "Hm: {}", "Hm: {}", &[]);
    }
}
