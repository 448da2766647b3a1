//! Arguments of a call, and their way to the parameters.

use std::sync::Arc;

use super::{
    failure::{Failure, Result, fail},
    value::Value,
};

/// Values that a function is called with.
#[derive(Debug, Default)]
pub(super) struct Args {
    pub positional: Vec<Value>,
    pub named: Vec<(Arc<str>, Value)>,
}

impl Args {
    pub fn of(positional: Vec<Value>) -> Args {
        Args {
            positional,
            named: Vec::new(),
        }
    }

    /// The arguments by the names of the parameters, of which the first `required` must be there.
    pub fn bind<const N: usize>(
        self,
        function: &str,
        names: [&str; N],
        required: usize,
    ) -> Result<[Option<Value>; N]> {
        if self.positional.len() > N {
            let given = self.positional.len();
            return fail(format!(
                "{function}() takes at most {N} arguments ({given} given)"
            ));
        }
        let mut bound = [const { None }; N];
        for (place, value) in bound.iter_mut().zip(self.positional) {
            *place = Some(value);
        }
        for (name, value) in self.named {
            let Some(at) = names.iter().position(|one| **one == *name) else {
                return fail(format!(
                    "{function}() got an unexpected keyword argument '{name}'"
                ));
            };
            if bound[at].replace(value).is_some() {
                return fail(format!(
                    "{function}() got multiple values for argument '{name}'"
                ));
            }
        }
        match bound[..required].iter().position(Option::is_none) {
            Some(at) => fail(format!("{function}() missing the argument '{}'", names[at])),
            None => Ok(bound),
        }
    }

    /// Arguments that have no names.
    pub fn only<const N: usize>(
        self,
        function: &str,
        required: usize,
    ) -> Result<[Option<Value>; N]> {
        if !self.named.is_empty() {
            return fail(format!("{function}() takes no keyword arguments"));
        }
        let given = self.positional.len();
        if given < required || given > N {
            return fail(format!(
                "{function}() takes {required} to {N} arguments ({given} given)"
            ));
        }
        self.bind(function, [""; N], 0)
    }
}

/// An integer argument.
pub(super) fn int(value: &Value) -> Result<i128> {
    let message = || {
        let kind = value.type_name();
        Failure::new(format!(
            "'{kind}' object cannot be interpreted as an integer"
        ))
    };
    value.as_int().ok_or_else(message)
}

/// A text argument.
pub(super) fn text(value: &Value) -> Result<Arc<str>> {
    match value {
        Value::Str(text) | Value::Markup(text) => Ok(text.clone()),
        Value::Undefined(message) => fail(&**message),
        _ => fail(format!("expected str, got {}", value.type_name())),
    }
}

/// An integer argument with a value where there is none, or None.
pub(super) fn int_or(value: Option<&Value>, default: i128) -> Result<i128> {
    match value {
        None | Some(Value::None) => Ok(default),
        Some(value) => int(value),
    }
}

/// A float without its fraction; none where it is no number.
pub(super) fn truncated(value: f64) -> Result<Option<i128>> {
    if value.is_infinite() {
        return fail("cannot convert float infinity to integer");
    }
    if value.abs() >= 1e38 {
        return fail("an integer of more than 38 digits");
    }
    Ok((!value.is_nan()).then_some(value.trunc() as i128))
}

/// A flag that is off unless it is given.
pub(super) fn flag(value: Option<&Value>) -> bool {
    value.is_some_and(Value::truth)
}
