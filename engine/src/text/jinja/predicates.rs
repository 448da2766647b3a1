//! Tests (`x is …`): all of Jinja2's.

use super::{
    arguments::Args,
    ast::{Comparison, Operator},
    failure::{Result, fail},
    filters,
    renderer::Renderer,
    strings,
    value::{Key, Value},
};

const NAMES: [&str; 39] = [
    "odd",
    "even",
    "divisibleby",
    "defined",
    "undefined",
    "filter",
    "test",
    "none",
    "boolean",
    "false",
    "true",
    "integer",
    "float",
    "lower",
    "upper",
    "string",
    "mapping",
    "number",
    "sequence",
    "iterable",
    "callable",
    "sameas",
    "escaped",
    "in",
    "==",
    "eq",
    "equalto",
    "!=",
    "ne",
    ">",
    "gt",
    "greaterthan",
    ">=",
    "ge",
    "<",
    "lt",
    "lessthan",
    "<=",
    "le",
];

/// Whether there is such a test.
pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// `value is name(…)`.
pub(super) fn holds(
    renderer: &mut Renderer<'_>,
    name: &str,
    value: &Value,
    args: Args,
) -> Result<bool> {
    renderer.step()?;
    let comparison = match name {
        "==" | "eq" | "equalto" => Some(Comparison::Equal),
        "!=" | "ne" => Some(Comparison::Unequal),
        ">" | "gt" | "greaterthan" => Some(Comparison::Greater),
        ">=" | "ge" => Some(Comparison::GreaterEqual),
        "<" | "lt" | "lessthan" => Some(Comparison::Less),
        "<=" | "le" => Some(Comparison::LessEqual),
        "in" => Some(Comparison::In),
        _ => None,
    };
    if let Some(comparison) = comparison {
        let [other] = args.only(name, 1)?;
        return renderer.compares(comparison, value, &other.unwrap_or(Value::None));
    }
    match name {
        "sameas" => {
            let [other] = args.bind(name, ["other"], 1)?;
            Ok(value.is_same(&other.unwrap_or(Value::None)))
        }
        "divisibleby" => {
            let [number] = args.bind(name, ["num"], 1)?;
            let rest =
                renderer.binary(Operator::Remainder, value, &number.unwrap_or(Value::None))?;
            renderer.equal(&rest, &Value::Int(0))
        }
        _ => {
            args.only::<0>(name, 0)?;
            alone(renderer, name, value)
        }
    }
}

/// Tests that look at nothing but the value.
fn alone(renderer: &mut Renderer<'_>, name: &str, value: &Value) -> Result<bool> {
    Ok(match name {
        "odd" | "even" => {
            let rest = renderer.binary(Operator::Remainder, value, &Value::Int(2))?;
            let wanted = Value::Int(i128::from(name == "odd"));
            return renderer.equal(&rest, &wanted);
        }
        "defined" => !value.is_undefined(),
        "undefined" => value.is_undefined(),
        "filter" | "test" => {
            Key::of(value)?; // Jinja2 looks it up
            let exists = if name == "filter" {
                filters::exists
            } else {
                exists
            };
            value.as_str().is_some_and(exists)
        }
        "none" => matches!(value, Value::None),
        "boolean" => matches!(value, Value::Bool(_)),
        "false" => matches!(value, Value::Bool(false)),
        "true" => matches!(value, Value::Bool(true)),
        "integer" => matches!(value, Value::Int(_)),
        "float" => matches!(value, Value::Float(_)),
        "number" => value.as_float().is_some(),
        "string" => matches!(value, Value::Str(_) | Value::Markup(_)),
        "escaped" => matches!(value, Value::Markup(_)),
        "mapping" => matches!(value, Value::Dict(_)),
        "lower" => strings::is(&renderer.text(value)?, "islower"),
        "upper" => strings::is(&renderer.text(value)?, "isupper"),
        "sequence" => is_sequence(value),
        "iterable" => {
            let passed_once =
                matches!(value, Value::View(..) | Value::Iterator(_) | Value::Loop(_));
            is_sequence(value) || passed_once
        }
        "callable" => matches!(
            value,
            Value::Undefined(_)
                | Value::Function(_)
                | Value::Method(_)
                | Value::Macro(_)
                | Value::Joiner(_)
                | Value::Loop(_)
        ),
        _ => return fail(format!("No test named '{name}'.")),
    })
}

/// Whether a value has a length, and its parts by index or key.
fn is_sequence(value: &Value) -> bool {
    matches!(
        value,
        Value::Undefined(_)
            | Value::Str(_)
            | Value::Markup(_)
            | Value::List(_)
            | Value::Tuple(_)
            | Value::Group(_)
            | Value::Dict(_)
            | Value::Range(_)
    )
}
