//! Templates against Jinja2 itself, set up as `transformers` sets it up: every filter and test on every kind of value, every operator
//! between them, every method, and what templates are made of. The same text to the byte, or both refuse.

use lantern_engine::{ChatTemplate, Error};
use serde_json::{Map, Value, json};

use crate::support::{models::folder, python};

/// Parts that the cases are made of, and the input of all.
pub struct Cases(pub Map<String, Value>);

impl Cases {
    pub fn read() -> Cases {
        let text = std::fs::read_to_string(folder("jinja/cases.json")).unwrap();
        Cases(serde_json::from_str(&text).unwrap())
    }

    pub fn list(&self, name: &str) -> Vec<&str> {
        let list = self.0[name].as_array().unwrap();
        list.iter().map(|one| one.as_str().unwrap()).collect()
    }

    /// Each of one list with each of another.
    fn pairs(&self, first: &str, second: &str, make: impl Fn(&str, &str) -> String) -> Vec<String> {
        let second = self.list(second);
        let all = self.list(first).into_iter();
        all.flat_map(|a| second.iter().map(|b| make(a, b)).collect::<Vec<_>>())
            .collect()
    }

    fn templates(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .list("templates")
            .into_iter()
            .map(str::to_owned)
            .collect();
        let expressions = self.list("expressions").into_iter();
        all.extend(expressions.map(|expression| format!("{{{{ {expression} }}}}")));
        all.extend(self.pairs("values", "filters", |a, b| format!("{{{{ ({a}) | {b} }}}}")));
        all.extend(self.pairs("values", "tests", |a, b| format!("{{{{ ({a}) is {b} }}}}")));
        all.extend(self.pairs("receivers", "methods", |a, b| {
            format!("{{{{ ({a}).{b} }}}}")
        }));
        all.extend(self.pairs("containers", "items", |a, b| {
            format!("{{% set v = {a} %}}{{{{ v{b} }}}}") // a constant would be sliced by another rule
        }));
        for operator in self.list("operators") {
            all.extend(self.pairs("operands", "operands", |a, b| {
                format!("{{{{ ({a}) {operator} ({b}) }}}}")
            }));
        }
        all
    }
}

/// Renders templates with Jinja2. None where it is not installed; in CI that is a failure.
pub fn rendered_by_jinja2(input: &Value, templates: &[String]) -> Option<Vec<Value>> {
    let mut script = python::script("jinja2", "render_jinja.py")?;
    script
        .env("PYTHONIOENCODING", "utf-8")
        .env("PYTHONWARNINGS", "ignore"); // of escapes that Python would rather not see
    let answer = python::answer(script, &json!({"input": input, "templates": templates}));
    Some(serde_json::from_str(&answer).unwrap())
}

/// Renders a template with Lantern, on the day that the script of Jinja2 has.
pub fn rendered_here(input: &Value, template: &str) -> Result<String, Error> {
    let template = ChatTemplate::new(template)?.with_now("2026-01-15")?;
    template.render(input)
}

/// Whether Python writes an address in memory, which no other program can.
pub fn has_address(text: &str) -> bool {
    text.contains(" at 0x")
}

#[test]
fn every_template_renders_as_jinja2_renders_it() {
    let cases = Cases::read();
    let (templates, input) = (cases.templates(), &cases.0["input"]);
    let (refused, newer) = (cases.list("refused"), cases.list("newer"));
    assert!(templates.len() > 10_000, "{}", templates.len());
    let Some(theirs) = rendered_by_jinja2(input, &templates) else {
        return;
    };
    assert_eq!(theirs.len(), templates.len());
    let mut differences = Vec::new();
    for (template, theirs) in templates.iter().zip(theirs) {
        let ours = rendered_here(input, template);
        let same = match (&ours, theirs["output"].as_str()) {
            (Err(Error::Template(_)), Some(theirs)) if has_address(theirs) => true,
            (Err(Error::Template(_)), Some(_)) => refused.contains(&template.as_str()),
            (Ok(ours), Some(theirs)) => ours == theirs,
            (Err(Error::Template(_)), None) => true,
            // Methods that Python 3.11 does not have.
            (Ok(_), None) => newer.contains(&template.as_str()),
            _ => false,
        };
        if !same {
            differences.push(format!(
                "{template}\n  Jinja2: {theirs}\n  here:   {ours:?}"
            ));
        }
    }
    let count = differences.len();
    assert!(
        count == 0,
        "{count} differ:\n{}",
        differences[..count.min(20)].join("\n")
    );
}

/// Templates that Jinja2 renders and that are refused here, so that the list is no longer than it must be.
#[test]
fn what_is_not_rendered_is_refused_with_a_reason() {
    let cases = Cases::read();
    for template in cases.list("refused") {
        let refusal = ChatTemplate::new(template).and_then(|one| one.render(&cases.0["input"]));
        match refusal {
            Err(Error::Template(reason)) => assert!(reason.contains("(line 1)"), "{reason}"),
            other => panic!("{template}: {other:?}"),
        }
    }
}
