//! Grammars of calls, in Lark's form: the formats' texts around the tools' schemas.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    Tool, ToolChoice, Tools,
    elements::is_text,
    formats::{Elements, Form},
};
use crate::text::Tokenizer;

impl Tools {
    /// The grammar of an answer's calls: from the first mark on, or from behind it (`open`: it is there already).
    pub(in crate::text) fn lark(&self, tokenizer: &Tokenizer, open: bool) -> String {
        let known = &self.0;
        let named = |tool: &&Tool| match &known.choice {
            ToolChoice::Named(name) => tool.name == *name,
            _ => true,
        };
        let tools: Vec<&Tool> = known.tools.iter().filter(named).collect();
        let mut lark = Lark {
            tokenizer,
            rules: String::new(),
            count: 0,
        };
        let format = known.format;
        let calls: Vec<String> = tools
            .iter()
            .map(|tool| lark.call(&format.form, tool))
            .collect();
        let _ = writeln!(lark.rules, "call: {}", calls.join(" | "));
        let list = match format.form {
            Form::Json { list: true, .. } | Form::Python { list: true } => Some(", "),
            _ => None,
        };
        let line = matches!(
            format.form,
            Form::Json { list: false, .. } | Form::Elements(_)
        ) && !format.close.is_empty()
            && !matches!(&format.form, Form::Elements(Elements { name: ["", _], .. }));
        let around = if line { "\n" } else { "" };
        let inner = match list {
            Some(between) if known.parallel => format!(
                "{} call ({} call)* {}",
                lark.text("["),
                lark.text(between),
                lark.text("]")
            ),
            Some(_) => format!("{} call {}", lark.text("["), lark.text("]")),
            None => "call".to_owned(),
        };
        let before = lark.text(&format!("{}{around}", format.open));
        let close = lark.text(&format!("{around}{}", format.close));
        let first = if open {
            lark.text(around)
        } else {
            lark.text(&format!("{}{}{around}", format.around[0], format.open))
        };
        // Calls that have marks of their own each may be several; behind a mark that is there, the next has its own grammar.
        let several = known.parallel && list.is_none() && !format.open.is_empty();
        let more = if several && !open {
            let white = lark.text(around);
            format!("({white} {before} {inner} {close})*")
        } else {
            String::new()
        };
        let end = if open {
            String::new()
        } else {
            lark.text(format.around[1])
        };
        format!(
            "start: {first} {inner} {close} {more} {end}\n{}",
            lark.rules
        )
    }
}

/// Rules of a grammar that is being written.
struct Lark<'a> {
    tokenizer: &'a Tokenizer,
    rules: String,
    count: usize,
}

impl Lark<'_> {
    /// A text as Lark has it; control tokens in it by their numbers.
    fn text(&self, text: &str) -> String {
        let mut parts = String::new();
        let mut from = 0;
        for (token, place) in self.tokenizer.steering(text) {
            if place.start > from {
                let _ = write!(parts, "{} ", Value::from(&text[from..place.start]));
            }
            let _ = write!(parts, "<[{token}]> ");
            from = place.end;
        }
        if from < text.len() || text.is_empty() && parts.is_empty() {
            let _ = write!(parts, "{}", Value::from(&text[from..]));
        }
        parts
    }

    fn rule(&mut self, text: &str) -> String {
        self.count += 1;
        let name = format!("rule{}", self.count);
        let _ = writeln!(self.rules, "{name}: {text}");
        name
    }

    /// A value by a schema, as JSON.
    fn json(&mut self, schema: &Value) -> String {
        let schema = super::super::grammar::with_tight_space(schema.clone());
        self.rule(&format!("%json {schema}"))
    }

    /// A text up to the one behind it.
    fn up_to(&mut self, close: &str) -> String {
        if self.tokenizer.steering(close).is_empty() {
            self.count += 1;
            let name = format!("rule{}", self.count);
            let close = Value::from(close);
            let _ = writeln!(self.rules, "{name}[suffix={close}]: /(?s:.*)/");
            return name;
        }
        let close = self.text(close);
        self.rule(&format!("/(?s:.*)/ {close}"))
    }

    /// The rule of a call of one tool.
    fn call(&mut self, form: &Form, tool: &Tool) -> String {
        let name = Value::from(tool.name.as_str());
        let text = match form {
            Form::Json {
                name: key,
                arguments,
                ..
            } => {
                let json = self.json(&tool.parameters);
                let before = self.text(&format!("{{\"{key}\": {name}, \"{arguments}\": "));
                format!("{before} {json} {}", self.text("}"))
            }
            Form::Named([before, between, after]) => {
                let json = self.json(&tool.parameters);
                let before = self.text(&format!("{before}{}{between}", tool.name));
                format!("{before} {json} {}", self.text(after))
            }
            Form::Harmony => {
                let json = self.json(&tool.parameters);
                let header = format!("{} <|constrain|>json<|message|>", tool.name);
                format!("{} {json}", self.text(&header))
            }
            Form::Elements(form) => self.elements(form, tool),
            Form::Python { .. } => {
                let arguments = self.arguments(tool, ", ", &mut |lark, key, schema| {
                    let value = lark.python(schema);
                    format!("{} {value}", lark.text(&format!("{key}=")))
                });
                let before = self.text(&format!("{}(", tool.name));
                format!("{before} {arguments} {}", self.text(")"))
            }
            Form::Gemma => {
                let arguments = self.arguments(tool, ",", &mut |lark, key, schema| {
                    let before = format!("{key}:");
                    if is_text(schema) && schema["enum"].is_null() {
                        let value = lark.up_to("<|\"|>");
                        return format!("{} {value}", lark.text(&format!("{before}<|\"|>")));
                    }
                    let value = lark.json(schema);
                    format!("{} {value}", lark.text(&before))
                });
                let before = self.text(&format!("call:{}{{", tool.name));
                format!("{before} {arguments} {}", self.text("}"))
            }
        };
        self.rule(&text)
    }

    /// Arguments in the order of the schema, those that may be left out after the others, with `between` between them.
    fn arguments(
        &mut self,
        tool: &Tool,
        between: &str,
        each: &mut dyn FnMut(&mut Self, &str, &Value) -> String,
    ) -> String {
        let (needed, others) = properties(tool);
        let mut rules = |lark: &mut Self, all: &[(&str, &Value)]| -> Vec<String> {
            let rule = |(key, schema): &(&str, &Value)| {
                let text = each(lark, key, schema);
                lark.rule(&text)
            };
            all.iter().map(rule).collect()
        };
        let needed = rules(self, &needed);
        let others = rules(self, &others);
        let between = self.text(between);
        let after = |rest: &[String]| -> String {
            let one = |rule: &String| format!("({between} {rule})?");
            rest.iter().map(one).collect::<Vec<_>>().join(" ")
        };
        if !needed.is_empty() {
            let glue = format!(" {between} ");
            return format!("{} {}", needed.join(&glue), after(&others));
        }
        if others.is_empty() {
            return String::new();
        }
        let from = |at: usize| format!("{} {}", others[at], after(&others[at + 1..]));
        let all: Vec<String> = (0..others.len()).map(from).collect();
        format!("({})?", all.join(" | "))
    }

    fn elements(&mut self, form: &Elements, tool: &Tool) -> String {
        let mut text = self.text(&format!("{}{}{}", form.name[0], tool.name, form.name[1]));
        let (needed, others) = properties(tool);
        let count = needed.len();
        // Each argument stands on a line of its own; GLM's name has its line's end already.
        let line = if form.name[0].is_empty() { "" } else { "\n" };
        for (at, (key, schema)) in needed.into_iter().chain(others).enumerate() {
            let before = format!("{line}{}{key}{}{}", form.key[0], form.key[1], form.value[0]);
            let before = self.text(&before);
            let value = if is_text(schema) && schema["enum"].is_null() {
                self.up_to(form.value[1])
            } else {
                let json = self.literal(schema);
                let close = self.text(form.value[1]);
                format!("{json} {close}")
            };
            let after = if line.is_empty() {
                self.text("\n")
            } else {
                String::new()
            };
            let rule = self.rule(&format!("{before} {value} {after}"));
            let _ = write!(text, " {rule}{}", if at < count { "" } else { "?" });
        }
        // The last line's end is the format's own, around all calls.
        let end = form.end.trim_end();
        format!("{text} {}", self.text(end))
    }

    /// A value without quotes: one of some texts, or JSON.
    fn literal(&mut self, schema: &Value) -> String {
        if !is_text(schema) {
            return self.json(schema);
        }
        let all = schema["enum"].as_array().into_iter().flatten();
        let texts: Vec<String> = all
            .filter_map(Value::as_str)
            .map(|text| self.text(text))
            .collect();
        self.rule(&texts.join(" | "))
    }

    /// A value as Python has it: JSON, but for what has another name there.
    fn python(&mut self, schema: &Value) -> String {
        match schema["type"].as_str() {
            Some("boolean") => "(\"True\" | \"False\")".to_owned(),
            Some("null") => "\"None\"".to_owned(),
            _ => self.json(schema),
        }
    }
}

/// Names and schemas of arguments.
type Properties<'a> = Vec<(&'a str, &'a Value)>;

/// The arguments that a call needs, and the others.
fn properties(tool: &Tool) -> (Properties<'_>, Properties<'_>) {
    let all = tool.parameters["properties"]
        .as_object()
        .into_iter()
        .flatten();
    let all = all.map(|(key, schema)| (key.as_str(), schema));
    all.partition(|(key, _)| {
        let needed = tool.parameters["required"].as_array();
        needed.is_some_and(|needed| needed.iter().any(|one| one == key))
    })
}
