//! Calls: of functions, macros, loops, and methods of values that are no text.

use std::sync::Arc;

use super::{
    arguments::{Args, int, text},
    failure::{Failure, Result, fail},
    renderer::{Cycler, Joiner, Renderer, check_attribute},
    strings,
    value::{Dict, Function, Key, Range, Value, View},
};

/// Ranges that are longer are refused, as by Jinja2's sandbox.
const RANGE_MAX: i128 = 100_000;

/// Calls a value.
pub(super) fn call(renderer: &mut Renderer<'_>, callee: &Value, args: Args) -> Result<Value> {
    match callee {
        Value::Undefined(message) => fail(&**message),
        Value::Function(function) => call_function(renderer, *function, args),
        Value::Method(method) => call_method(renderer, &method.0, method.1, args),
        Value::Macro(id) => renderer.call_macro(*id, args),
        Value::Loop(id) => {
            let [items] = args.bind("loop", ["iterable"], 1)?;
            renderer.call_loop(*id, &items.unwrap_or(Value::None))
        }
        Value::Joiner(id) => {
            args.only::<0>("joiner", 0)?;
            let joiner = &mut renderer.joiners[*id];
            if std::mem::replace(&mut joiner.used, true) {
                return Ok(joiner.separator.clone());
            }
            Ok(Value::str(""))
        }
        _ => fail(format!("'{}' object is not callable", callee.type_name())),
    }
}

fn call_function(renderer: &mut Renderer<'_>, function: Function, args: Args) -> Result<Value> {
    match function {
        Function::Range => {
            let bounds = args.only("range", 1)?;
            range(bounds)
        }
        Function::Dict => Ok(Value::Dict(Arc::new(dict_of(renderer, args)?))),
        Function::Namespace => {
            let dict = dict_of(renderer, args)?;
            for (key, _) in dict.entries() {
                check_attribute(key)?;
            }
            renderer.namespaces.push(dict);
            Ok(Value::Namespace(renderer.namespaces.len() - 1))
        }
        Function::Cycler => {
            if !args.named.is_empty() || args.positional.is_empty() {
                return fail("at least one item has to be provided");
            }
            let items = args.positional;
            renderer.cyclers.push(Cycler { items, at: 0 });
            Ok(Value::Cycler(renderer.cyclers.len() - 1))
        }
        Function::Joiner => {
            let [separator] = args.bind("joiner", ["sep"], 0)?;
            renderer.joiners.push(Joiner {
                separator: separator.unwrap_or_else(|| Value::str(", ")),
                used: false,
            });
            Ok(Value::Joiner(renderer.joiners.len() - 1))
        }
        Function::Lipsum => fail("lipsum writes at random, which a prompt cannot"),
        Function::RaiseException => {
            let [message] = args.bind("raise_exception", ["message"], 1)?;
            let message = renderer.text(&message.unwrap_or(Value::None))?;
            fail(&*message)
        }
        Function::StrftimeNow => {
            let [format] = args.bind("strftime_now", ["format"], 1)?;
            let format = text(&format.unwrap_or(Value::None))?;
            (renderer.clock)(&format)
                .map(Value::str)
                .map_err(Failure::new)
        }
    }
}

fn range(bounds: [Option<Value>; 3]) -> Result<Value> {
    let [first, second, step] = bounds.map(|bound| bound.as_ref().map(int).transpose());
    let (first, step) = (first?.unwrap_or(0), step?.unwrap_or(1));
    let (start, stop) = match second? {
        Some(stop) => (first, stop),
        None => (0, first),
    };
    if step == 0 {
        return fail("range() arg 3 must not be zero");
    }
    let small = |bound: i128| (-(1 << 64)..1 << 64).contains(&bound);
    let range = Range { start, stop, step };
    if !(small(start) && small(stop) && small(step)) || range.len() > RANGE_MAX {
        return fail(format!(
            "Range too big. The sandbox blocks ranges larger than MAX_RANGE ({RANGE_MAX})."
        ));
    }
    Ok(Value::Range(range))
}

/// `dict(…)` of a dictionary, of pairs, and of names.
fn dict_of(renderer: &mut Renderer<'_>, args: Args) -> Result<Dict> {
    let mut dict = Dict::default();
    if args.positional.len() > 1 {
        let given = args.positional.len();
        return fail(format!("dict expected at most 1 argument, got {given}"));
    }
    for source in &args.positional {
        let entries = match source {
            Value::Dict(other) => other.entries().to_vec(),
            Value::Undefined(message) => return fail(&**message),
            pairs => {
                let mut entries = Vec::new();
                for pair in renderer.iterate(pairs)? {
                    match &renderer.iterate(&pair)?[..] {
                        [key, value] => entries.push((key.clone(), value.clone())),
                        other => {
                            let len = other.len();
                            return fail(format!(
                                "dict: an element has length {len}; 2 is required"
                            ));
                        }
                    }
                }
                entries
            }
        };
        renderer.steps(entries.len())?;
        for (key, value) in entries {
            dict.insert(key, value)?;
        }
    }
    for (name, value) in args.named {
        dict.insert(Value::Str(name), value)?;
    }
    Ok(dict)
}

fn call_method(
    renderer: &mut Renderer<'_>,
    this: &Value,
    name: &'static str,
    args: Args,
) -> Result<Value> {
    match this {
        Value::Str(text) => strings::call(renderer, text, name, args),
        Value::Markup(_) => fail("text that `safe` or `escape` gave can only be printed"),
        Value::List(_) | Value::Tuple(_) | Value::Group(_) | Value::Range(_) => {
            sequence(renderer, this, name, args)
        }
        Value::Dict(dict) => dictionary(renderer, dict, name, args),
        Value::Function(_) => from_keys(renderer, args),
        Value::Cycler(id) => {
            args.only::<0>(name, 0)?;
            let cycler = &mut renderer.cyclers[*id];
            if name == "reset" {
                cycler.at = 0;
                return Ok(Value::None);
            }
            let current = cycler.items[cycler.at].clone();
            cycler.at = (cycler.at + 1) % cycler.items.len();
            Ok(current)
        }
        Value::Loop(id) => {
            let args = args.positional;
            let this = &mut renderer.loops[*id];
            if name == "cycle" {
                return match args.len() {
                    0 => fail("no items for cycling given"),
                    len => Ok(args[this.index % len].clone()),
                };
            }
            let before = this.changed.replace(args.clone());
            let (now, before) = (Value::tuple(args)?, before.map(Value::tuple).transpose()?);
            Ok(Value::Bool(match before {
                Some(before) => !renderer.equal(&before, &now)?,
                None => true,
            }))
        }
        _ => number(this, name, args),
    }
}

fn number(this: &Value, name: &str, args: Args) -> Result<Value> {
    args.only::<0>(name, 0)?;
    match (name, this) {
        ("conjugate", Value::Float(_)) => Ok(this.clone()),
        ("is_integer", Value::Float(float)) => Ok(Value::Bool(float.fract() == 0.0)),
        ("is_integer", _) => int(this).map(|_| Value::Bool(true)), // since Python 3.12
        ("bit_count", _) => Ok(Value::Int(int(this)?.unsigned_abs().count_ones().into())),
        ("bit_length", _) => Ok(Value::Int(
            (128 - int(this)?.unsigned_abs().leading_zeros()).into(),
        )),
        ("conjugate", _) => int(this).map(Value::Int),
        _ => fail(format!(
            "{}.{name} is not there in Lantern",
            this.type_name()
        )),
    }
}

fn sequence(renderer: &mut Renderer<'_>, this: &Value, name: &str, args: Args) -> Result<Value> {
    if name == "copy" {
        args.only::<0>(name, 0)?;
        let items = renderer.iterate(this)?;
        return Value::list(items);
    }
    if args.positional.len() > 1 && (name == "count" || matches!(this, Value::Range(_))) {
        return fail(format!("{name}() takes exactly one argument"));
    }
    let [wanted, start, stop] = args.only(name, 1)?;
    let wanted = wanted.unwrap_or(Value::None);
    let items = renderer.iterate(this)?;
    let len = items.len() as i128;
    let place = |bound: Option<Value>, default: i128| -> Result<i128> {
        let bound = bound.as_ref().map_or(Ok(default), int)?;
        Ok(if bound < 0 {
            (bound + len).max(0)
        } else {
            bound
        })
    };
    let (start, stop) = (place(start, 0)?, place(stop, len)?);
    let mut count = 0;
    for (at, item) in items.iter().enumerate() {
        if (start..stop).contains(&(at as i128)) && renderer.equal(item, &wanted)? {
            if name == "index" {
                return Ok(Value::Int(at as i128));
            }
            count += 1;
        }
    }
    if name == "index" {
        let wanted = renderer.repr(&wanted)?;
        return fail(format!("{wanted} is not in list"));
    }
    Ok(Value::Int(count))
}

fn dictionary(
    renderer: &mut Renderer<'_>,
    dict: &Arc<Dict>,
    name: &str,
    args: Args,
) -> Result<Value> {
    let view = match name {
        "get" => {
            let [key, default] = args.only(name, 1)?;
            let key = Key::of(&key.unwrap_or(Value::None))?;
            let default = default.unwrap_or(Value::None);
            return Ok(dict.get(&key).cloned().unwrap_or(default));
        }
        "fromkeys" => return from_keys(renderer, args),
        "copy" => {
            args.only::<0>(name, 0)?;
            renderer.steps(dict.len())?;
            return Value::dict(dict.entries().iter().cloned());
        }
        "keys" => View::Keys,
        "values" => View::Values,
        _ => View::Items,
    };
    args.only::<0>(name, 0)?;
    Ok(Value::View(view, dict.clone()))
}

fn from_keys(renderer: &mut Renderer<'_>, args: Args) -> Result<Value> {
    let [keys, value] = args.only("fromkeys", 1)?;
    let value = value.unwrap_or(Value::None);
    let keys = renderer.iterate(&keys.unwrap_or(Value::None))?;
    Value::dict(keys.into_iter().map(|key| (key, value.clone())))
}

impl Renderer<'_> {
    /// The items of what a loop can go through.
    pub fn iterate(&mut self, value: &Value) -> Result<Vec<Value>> {
        let items: Vec<Value> = match value {
            Value::Undefined(_) => Vec::new(),
            Value::List(list) | Value::Tuple(list) | Value::Group(list) => {
                self.steps(list.items.len())?;
                list.items.clone()
            }
            Value::Str(text) | Value::Markup(text) => {
                self.steps(text.len())?;
                let text_of = |char: char| Value::str(char.encode_utf8(&mut [0; 4]) as &str);
                text.chars().map(text_of).collect()
            }
            Value::Dict(dict) | Value::View(View::Keys, dict) => {
                self.steps(dict.len())?;
                dict.entries().iter().map(|(key, _)| key.clone()).collect()
            }
            Value::View(View::Values, dict) => {
                self.steps(dict.len())?;
                dict.entries()
                    .iter()
                    .map(|(_, value)| value.clone())
                    .collect()
            }
            Value::View(View::Items, dict) => {
                self.steps(2 * dict.len())?;
                let pair =
                    |(key, value): &(Value, Value)| Value::tuple(vec![key.clone(), value.clone()]);
                dict.entries().iter().map(pair).collect::<Result<_>>()?
            }
            Value::Range(range) => {
                self.steps(range.len() as usize)?;
                (0..range.len()).map(|index| range.get(index)).collect()
            }
            Value::Iterator(id) => std::mem::take(&mut self.iterators[*id]).collect(),
            _ => return fail(format!("'{}' object is not iterable", value.type_name())),
        };
        Ok(items)
    }

    /// Values that can be gone through once.
    pub fn iterator(&mut self, items: Vec<Value>) -> Result<Value> {
        self.steps(items.len())?;
        self.iterators.push(items.into_iter());
        Ok(Value::Iterator(self.iterators.len() - 1))
    }

    fn call_loop(&mut self, id: usize, items: &Value) -> Result<Value> {
        let Some((each, frame)) = self.loops[id].recursive else {
            return fail("The loop must have the 'recursive' marker enabled.");
        };
        let depth = self.loops[id].depth + 1;
        self.deeper(|renderer| {
            renderer.capture(|renderer| {
                renderer.in_frame(frame, |renderer| {
                    renderer.run_loop(each, items, depth).map(drop)
                })
            })
        })
    }

    fn call_macro(&mut self, id: usize, args: Args) -> Result<Value> {
        let closure = self.macros[id];
        let definition = closure.definition;
        let name = definition.name.as_deref().unwrap_or("caller");
        let Args {
            mut positional,
            named: mut left,
        } = args;
        let rest = positional.split_off(positional.len().min(definition.parameters.len()));
        let mut given: Vec<Option<Value>> = positional.into_iter().map(Some).collect();
        for parameter in &definition.parameters[given.len()..] {
            let at = left.iter().position(|(name, _)| name == parameter);
            given.push(at.map(|at| left.remove(at).1));
        }
        let has_parameter = definition.parameters.iter().any(|one| &**one == "caller");
        let mut caller = None;
        if definition.takes_caller && !has_parameter {
            let at = left.iter().position(|(name, _)| &**name == "caller");
            let value = at.map(|at| left.remove(at).1);
            caller = Some(value.unwrap_or_else(|| Value::undefined("No caller defined")));
        }
        if !definition.takes_kwargs
            && let Some((keyword, _)) = left.first()
        {
            return fail(format!(
                "macro '{name}' takes no keyword argument '{keyword}'"
            ));
        }
        if !definition.takes_varargs && !rest.is_empty() {
            let most = definition.parameters.len();
            return fail(format!(
                "macro '{name}' takes not more than {most} argument(s)"
            ));
        }
        let kwargs = Value::dict(
            left.into_iter()
                .map(|(name, value)| (Value::Str(name), value)),
        )?;
        let varargs = Value::tuple(rest)?;
        self.in_frame(closure.frame, |renderer| {
            renderer.capture(|renderer| {
                let special = [
                    ("kwargs", definition.takes_kwargs.then_some(kwargs)),
                    ("varargs", definition.takes_varargs.then_some(varargs)),
                    ("caller", caller),
                ];
                for (name, value) in special {
                    if let Some(value) = value {
                        renderer.set(&name.into(), value);
                    }
                }
                let first_default = definition.parameters.len() - definition.defaults.len();
                for (at, (parameter, value)) in definition.parameters.iter().zip(given).enumerate()
                {
                    let value = match value {
                        Some(value) => value,
                        None if at >= first_default => {
                            renderer.evaluate(&definition.defaults[at - first_default])?
                        }
                        None => {
                            Value::undefined(format!("parameter '{parameter}' was not provided"))
                        }
                    };
                    renderer.set(parameter, value);
                }
                renderer.deeper(|renderer| renderer.whole(&definition.body))
            })
        })
    }
}
