//! Texts that are what a grammar says, whatever the model would rather say.

use std::ops::ControlFlow;

use lantern_engine::{
    Completion, CompletionOptions, Constraint, Error, FinishReason, Grammar, LanguageModel, Next,
    OpenOptions, SamplerOptions, Session, open_with,
};
use pollster::block_on;
use serde_json::{Value, json};

use crate::support::{adapters, default_model::default_model};

fn open() -> Option<LanguageModel> {
    let options = OpenOptions::default()
        .gpu(adapters::open(&adapters::main()))
        .context(512)
        .tuning_seconds(None);
    let model = open_with(default_model()?, &options, &mut |_| {
        ControlFlow::Continue(())
    });
    Some(model.unwrap())
}

fn complete(
    session: &mut Session,
    model: &LanguageModel,
    grammar: Grammar,
    sampler: SamplerOptions,
) -> Result<Completion, Error> {
    let tokenizer = model.tokenizer();
    let prompt = tokenizer
        .encode_prompt("Here is an example:\n", false)
        .unwrap();
    let options = CompletionOptions::default()
        .sampler(sampler)
        .max_tokens(200)
        .grammar(grammar);
    let mut each = |_: lantern_engine::CompletionEvent<'_>| ControlFlow::Continue(());
    block_on(session.complete(tokenizer, prompt[..].into(), &options, &mut each))
}

/// Schemas that texts are to be valid by. All are finite: a model that is asked for a list of any length may never end it.
fn schemas() -> Vec<Value> {
    vec![
        json!({"type": "boolean"}),
        json!({"enum": ["red", "green", 3, null]}),
        json!({"type": "integer", "minimum": 10, "maximum": 99}),
        json!({"type": "string", "maxLength": 12}),
        json!({"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"}),
        json!({"type": "string", "format": "date"}),
        json!({"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4}),
        json!({"type": "array", "prefixItems": [{"const": 1}, {"const": "two"}], "items": false, "minItems": 2}),
        json!({
            "type": "object", "additionalProperties": false, "required": ["name", "age", "tags"],
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 10},
                "age": {"type": "integer", "minimum": 0, "maximum": 120},
                "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "maxItems": 3},
            },
        }),
        json!({
            "$defs": {"point": {
                "type": "object", "additionalProperties": false, "required": ["x", "y"],
                "properties": {
                    "x": {"type": "integer", "minimum": 0, "maximum": 9},
                    "y": {"type": "integer", "minimum": 0, "maximum": 9},
                },
            }},
            "type": "array", "items": {"$ref": "#/$defs/point"}, "minItems": 1, "maxItems": 2,
        }),
        json!({"anyOf": [
            {"type": "null"},
            {"type": "object", "properties": {"ok": {"const": true}}, "required": ["ok"], "additionalProperties": false},
        ]}),
    ]
}

#[test]
fn gpu_every_text_is_valid_by_its_schema() {
    let Some(model) = open() else { return };
    let mut session = block_on(model.session()).unwrap();
    for (number, schema) in schemas().into_iter().enumerate() {
        for sampler in [
            SamplerOptions::greedy(),
            SamplerOptions::greedy()
                .temperature(1.5)
                .seed(number as u64),
        ] {
            let grammar = Grammar::JsonSchema(schema.clone());
            let done = complete(&mut session, &model, grammar, sampler).unwrap();
            let text = &done.text;
            assert_eq!(done.finish_reason, FinishReason::Stop, "{schema}: {text}");
            let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert!(jsonschema::is_valid(&schema, &value), "{schema}: {text}");
        }
    }
}

#[test]
fn gpu_texts_match_regular_expressions_and_grammars() {
    let Some(model) = open() else { return };
    let mut session = block_on(model.session()).unwrap();
    let cold = SamplerOptions::greedy;
    let date = Grammar::Regex("[0-9]{4}-(0[1-9]|1[0-2])".to_owned());
    let done = complete(&mut session, &model, date, cold()).unwrap();
    let bytes = done.text.as_bytes();
    assert!(bytes.len() == 7 && bytes[4] == b'-', "{}", done.text);
    let answer = r#"start: ("yes" | "no") ", " NAME
NAME: /[a-z]{3,5}/"#;
    let done = complete(
        &mut session,
        &model,
        Grammar::Lark(answer.to_owned()),
        cold(),
    )
    .unwrap();
    let (word, name) = done.text.split_once(", ").unwrap();
    assert!(
        ["yes", "no"].contains(&word) && (3..=5).contains(&name.len()),
        "{}",
        done.text
    );
    assert_eq!(done.finish_reason, FinishReason::Stop);

    // What a grammar leaves no choice about is the same text, and comes in few passes.
    let fixed = Grammar::Regex("The quick brown fox jumps over the lazy dog\\.".to_owned());
    let done = complete(&mut session, &model, fixed, cold()).unwrap();
    assert_eq!(done.text, "The quick brown fox jumps over the lazy dog.");
}

#[test]
fn gpu_what_cannot_be_expressed_is_refused_with_its_place() {
    let Some(model) = open() else { return };
    let tokenizer = model.tokenizer();
    let refused = |grammar: &Grammar| match tokenizer.constraint(grammar) {
        Err(Error::BadInput(message)) => message,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("{grammar:?} is taken"),
    };
    let schema = json!({"type": "object", "properties": {
        "a": {"type": "string"},
        "b/c": {"anyOf": [{"type": "null"}, {"type": "object", "unevaluatedProperties": false}]},
    }});
    let message = refused(&Grammar::JsonSchema(schema));
    assert!(
        message.contains("at #/properties/b~1c/anyOf/1"),
        "{message}"
    );
    assert!(message.contains("unevaluatedProperties"), "{message}");
    refused(&Grammar::Regex("(a".to_owned()));
    refused(&Grammar::Lark("start: \"a\" other".to_owned()));
}

/// A token that may follow whatever came before, and what was accepted.
struct Only(u32, Vec<u32>);

impl Constraint for Only {
    fn next(&mut self) -> lantern_engine::Result<Next<'_>> {
        Ok(match self.1.len() {
            0..3 => Next::Any,
            3 => Next::Forced(vec![self.0; 5]),
            _ => Next::End,
        })
    }

    fn accept(&mut self, token: u32) -> lantern_engine::Result<()> {
        self.1.push(token);
        Ok(())
    }
}

/// Tokens that are free are those of a session without a constraint; those that are forced are part of it, and what comes after
/// them is what it would be after a prompt.
#[test]
fn gpu_forced_tokens_are_part_of_the_session() {
    let Some(model) = open() else { return };
    let prompt = model
        .tokenizer()
        .encode_prompt("One, two, three", false)
        .unwrap();
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let greedy = SamplerOptions::greedy();
    let mut free = block_on(model.session()).unwrap();
    block_on(free.prefill(&prompt, go_on)).unwrap();
    let mut sampled = vec![];
    let mut keep = |token| {
        sampled.push(token);
        ControlFlow::Continue(())
    };
    block_on(free.generate(3, &greedy, &mut keep)).unwrap();

    let mut bound = block_on(model.session()).unwrap();
    block_on(bound.prefill(&prompt, go_on)).unwrap();
    let mut only = Only(30, vec![]);
    let end = block_on(
        bound.generate_constrained(50, &greedy, &mut only, &mut |_| ControlFlow::Continue(())),
    );
    assert_eq!(end.unwrap(), FinishReason::Stop);
    assert_eq!(only.1[..3], sampled);
    assert_eq!(only.1[3..], [30; 5]);
    assert_eq!(bound.tokens(), [&prompt[..], &only.1].concat());
    let mut fresh = block_on(model.session()).unwrap();
    block_on(fresh.prefill(bound.tokens(), go_on)).unwrap();
    let (wanted, got) = (
        block_on(fresh.logits()).unwrap(),
        block_on(bound.logits()).unwrap(),
    );
    let error = crate::support::nmse(&got, &wanted);
    assert!(error < 1e-3, "NMSE {error:.2e}");
}
