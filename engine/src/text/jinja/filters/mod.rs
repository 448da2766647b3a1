//! Filters: all of Jinja2's by name. Four are refused with a reason: `random` (a prompt is no dice), `urlize`, `wordwrap`, and `pprint` of
//! what does not fit on a line.

#![expect(
    clippy::needless_pass_by_value,
    reason = "filters have one signature, and most take their value"
)]

mod html;
mod numbers;
pub(super) mod order;
mod sequences;
mod text;

use super::{
    arguments::{Args, flag},
    failure::{Result, fail},
    json, predicates,
    renderer::Renderer,
    value::Value,
};

/// A filter: what it is given first, and what more.
type Filter = fn(&mut Renderer<'_>, Value, Args) -> Result<Value>;

/// The filters by name.
const FILTERS: [(&str, Filter); 54] = [
    ("abs", numbers::abs),
    ("attr", attr),
    ("batch", sequences::batch),
    ("capitalize", text::capitalize),
    ("center", text::center),
    ("count", sequences::length),
    ("d", default),
    ("default", default),
    ("dictsort", order::dictsort),
    ("e", html::escape),
    ("escape", html::escape),
    ("filesizeformat", numbers::filesizeformat),
    ("first", sequences::first),
    ("float", numbers::float),
    ("forceescape", html::force_escape),
    ("format", text::format),
    ("groupby", order::groupby),
    ("indent", text::indent),
    ("int", numbers::int),
    ("items", sequences::items),
    ("join", sequences::join),
    ("last", sequences::last),
    ("length", sequences::length),
    ("list", sequences::list),
    ("lower", text::lower),
    ("map", sequences::map),
    ("max", order::max),
    ("min", order::min),
    ("pprint", text::pprint),
    ("random", random),
    ("reject", |r, v, a| sequences::select(r, v, a, false, false)),
    ("rejectattr", |r, v, a| {
        sequences::select(r, v, a, false, true)
    }),
    ("replace", text::replace),
    ("reverse", sequences::reverse),
    ("round", numbers::round),
    ("safe", html::safe),
    ("select", |r, v, a| sequences::select(r, v, a, true, false)),
    ("selectattr", |r, v, a| {
        sequences::select(r, v, a, true, true)
    }),
    ("slice", sequences::slice),
    ("sort", order::sort),
    ("string", text::string),
    ("striptags", html::striptags),
    ("sum", sequences::sum),
    ("title", text::title),
    ("tojson", |renderer, value, args| {
        json::dumps(renderer, &value, args)
    }),
    ("trim", text::trim),
    ("truncate", text::truncate),
    ("unique", order::unique),
    ("upper", text::upper),
    ("urlencode", html::urlencode),
    ("urlize", |_, _, _| {
        fail("the filter urlize writes HTML, and is not there in Lantern")
    }),
    ("wordcount", text::wordcount),
    ("wordwrap", |_, _, _| {
        fail("the filter wordwrap is not there in Lantern")
    }),
    ("xmlattr", html::xmlattr),
];

/// Filters whose result is no markup where what they are given is.
const OF_MARKUP: [&str; 14] = [
    "count",
    "d",
    "default",
    "e",
    "escape",
    "float",
    "forceescape",
    "int",
    "length",
    "replace",
    "safe",
    "string",
    "tojson",
    "wordcount",
];

/// Whether there is such a filter.
pub(super) fn exists(name: &str) -> bool {
    FILTERS.iter().any(|(one, _)| *one == name)
}

/// `value|name(…)`.
pub(super) fn apply(
    renderer: &mut Renderer<'_>,
    name: &str,
    value: Value,
    args: Args,
) -> Result<Value> {
    renderer.step()?;
    if matches!(value, Value::Markup(_)) && !OF_MARKUP.contains(&name) {
        return fail("text that `safe` or `escape` gave can only be printed");
    }
    match FILTERS.iter().find(|(one, _)| *one == name) {
        Some((_, filter)) => filter(renderer, value, args),
        None => fail(format!("No filter named '{name}'.")),
    }
}

fn default(_: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [default, boolean] = args.bind("default", ["default_value", "boolean"], 0)?;
    if value.is_undefined() || (flag(boolean.as_ref()) && !value.truth()) {
        return Ok(default.unwrap_or_else(|| Value::str("")));
    }
    Ok(value)
}

fn attr(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [name] = args.bind("attr", ["name"], 1)?;
    if let Value::Undefined(message) = &value {
        return fail(&**message);
    }
    let Some(Value::Str(name)) = name else {
        let kind = name.unwrap_or(Value::None).type_name();
        return fail(format!("attribute name must be string, not '{kind}'"));
    };
    let found = renderer.own_attribute(&value, &name)?;
    Ok(found.unwrap_or_else(|| {
        let kind = value.type_name();
        Value::undefined(format!("'{kind} object' has no attribute '{name}'"))
    }))
}

fn random(_: &mut Renderer<'_>, _: Value, _: Args) -> Result<Value> {
    fail("the filter random would make the prompt another one each time")
}

/// The attribute that filters go by, `a.b.0` among them; without one, the item itself.
pub(super) fn attribute_of(
    renderer: &mut Renderer<'_>,
    item: &Value,
    attribute: Option<&Value>,
    default: Option<&Value>,
) -> Result<Value> {
    let parts: Vec<Value> = match attribute {
        None | Some(Value::None) => return Ok(item.clone()),
        Some(Value::Str(path)) => {
            let part = |part: &str| match part.parse() {
                Ok(index) if part.bytes().all(|byte| byte.is_ascii_digit()) => Value::Int(index),
                _ => Value::str(part),
            };
            path.split('.').map(part).collect()
        }
        Some(other) => vec![other.clone()],
    };
    let mut value = item.clone();
    for part in parts {
        value = renderer.item(&value, &part)?;
        if let (true, Some(default)) = (value.is_undefined(), default) {
            value = default.clone();
        }
    }
    Ok(value)
}

/// Whether a test by name holds, for the filters that take one.
fn passes(renderer: &mut Renderer<'_>, name: &Value, item: &Value, args: &Args) -> Result<bool> {
    let name = super::arguments::text(name)?;
    let args = Args {
        positional: args.positional.clone(),
        named: args.named.clone(),
    };
    predicates::holds(renderer, &name, item, args)
}
