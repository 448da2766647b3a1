//! Arithmetic and comparisons, as Python has them.

use std::{cmp::Ordering, sync::Arc};

use super::{
    ast::{Comparison, Operator},
    failure::{Result, fail},
    format,
    renderer::Renderer,
    value::{Key, Value},
};

impl Renderer<'_> {
    /// `left operator right`.
    pub fn binary(&mut self, operator: Operator, left: &Value, right: &Value) -> Result<Value> {
        for side in [left, right] {
            match side {
                // Python's text % anything is a text's own affair.
                Value::Undefined(message)
                    if operator != Operator::Remainder || left.as_str().is_none() =>
                {
                    return fail(&**message);
                }
                Value::Markup(_) => {
                    return fail("text that `safe` or `escape` gave can only be printed");
                }
                _ => {}
            }
        }
        match (operator, left, right) {
            (Operator::Remainder, Value::Str(format), _) => {
                format::percent(self, format, right).map(Value::str)
            }
            (Operator::Add, Value::Str(a), Value::Str(b)) => {
                self.pay(a.len() + b.len())?;
                Ok(Value::str([&**a, &**b].concat()))
            }
            (Operator::Add, Value::List(a), Value::List(b)) => {
                self.steps(a.items.len() + b.items.len())?;
                Value::list([&a.items[..], &b.items].concat())
            }
            (
                Operator::Add,
                Value::Tuple(a) | Value::Group(a),
                Value::Tuple(b) | Value::Group(b),
            ) => {
                self.steps(a.items.len() + b.items.len())?;
                Value::tuple([&a.items[..], &b.items].concat())
            }
            (
                Operator::Multiply,
                Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Group(_),
                Value::Int(_) | Value::Bool(_),
            ) => self.repeat(left, right),
            (
                Operator::Multiply,
                Value::Int(_) | Value::Bool(_),
                Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Group(_),
            ) => self.repeat(right, left),
            _ => match (
                left.as_int(),
                right.as_int(),
                left.as_float(),
                right.as_float(),
            ) {
                (Some(a), Some(b), ..) => integers(operator, a, b),
                (.., Some(a), Some(b)) => floats(operator, a, b).map(Value::Float),
                _ => fail(format!(
                    "unsupported operand type(s) for {}: '{}' and '{}'",
                    symbol(operator),
                    left.type_name(),
                    right.type_name()
                )),
            },
        }
    }

    fn repeat(&mut self, value: &Value, times: &Value) -> Result<Value> {
        let times = times.as_int().unwrap_or(0).max(0);
        let times = usize::try_from(times).unwrap_or(usize::MAX);
        match value {
            Value::Str(text) => {
                self.pay(text.len().saturating_mul(times))?;
                Ok(Value::str(text.repeat(times)))
            }
            Value::List(list) | Value::Tuple(list) | Value::Group(list) => {
                self.steps(list.items.len().saturating_mul(times))?;
                let items = if list.items.is_empty() {
                    Vec::new()
                } else {
                    vec![&list.items[..]; times].concat()
                };
                match value {
                    Value::List(_) => Value::list(items),
                    _ => Value::tuple(items),
                }
            }
            _ => fail("can't multiply"),
        }
    }

    /// `-value`, or `+value`.
    pub fn sign(value: &Value, negative: bool) -> Result<Value> {
        match (value, value.as_int()) {
            (_, Some(int)) => match if negative {
                int.checked_neg()
            } else {
                Some(int)
            } {
                Some(int) => Ok(Value::Int(int)),
                None => too_large(),
            },
            (Value::Float(float), _) => Ok(Value::Float(if negative { -float } else { *float })),
            (Value::Undefined(message), _) => fail(&**message),
            _ => fail(format!(
                "bad operand type for unary -: '{}'",
                value.type_name()
            )),
        }
    }

    pub fn compares(&mut self, comparison: Comparison, a: &Value, b: &Value) -> Result<bool> {
        let symbol = match comparison {
            Comparison::Equal => return self.equal(a, b),
            Comparison::Unequal => return self.equal(a, b).map(|equal| !equal),
            Comparison::In => return self.contains(b, a),
            Comparison::NotIn => return self.contains(b, a).map(|there| !there),
            Comparison::Less => "<",
            Comparison::LessEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterEqual => ">=",
        };
        let order = self.order(a, b, symbol)?;
        Ok(match comparison {
            Comparison::Less => order == Some(Ordering::Less),
            Comparison::LessEqual => order.is_some_and(Ordering::is_le),
            Comparison::Greater => order == Some(Ordering::Greater),
            _ => order.is_some_and(Ordering::is_ge),
        })
    }

    pub fn equal(&mut self, a: &Value, b: &Value) -> Result<bool> {
        self.step()?;
        Ok(match (a, b) {
            (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
            (Value::Str(a) | Value::Markup(a), Value::Str(b) | Value::Markup(b)) => a == b,
            (Value::List(a), Value::List(b))
            | (Value::Tuple(a) | Value::Group(a), Value::Tuple(b) | Value::Group(b)) => {
                if Arc::ptr_eq(a, b) {
                    return Ok(true);
                }
                if a.items.len() != b.items.len() {
                    return Ok(false);
                }
                for (a, b) in a.items.iter().zip(&b.items) {
                    if !self.equal(a, b)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Dict(a), Value::Dict(b)) => {
                if Arc::ptr_eq(a, b) {
                    return Ok(true);
                }
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (key, value) in a.entries() {
                    let Some(other) = Key::of(key).ok().and_then(|key| b.get(&key)) else {
                        return Ok(false);
                    };
                    if !self.equal(value, other)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Range(a), Value::Range(b)) => {
                let len = a.len();
                len == b.len() && (len == 0 || a.start == b.start && (len == 1 || a.step == b.step))
            }
            _ => match (a.as_int(), b.as_int(), a.as_float(), b.as_float()) {
                (Some(a), Some(b), ..) => a == b,
                (.., Some(_), Some(_)) => numeric_order(a, b) == Some(Ordering::Equal),
                _ => a.is_same(b),
            },
        })
    }

    /// The order of two values; None where there is none (a NaN).
    pub fn order(&mut self, a: &Value, b: &Value, symbol: &str) -> Result<Option<Ordering>> {
        self.step()?;
        match (a, b) {
            (Value::Undefined(message), _) | (_, Value::Undefined(message)) => fail(&**message),
            (Value::Str(a) | Value::Markup(a), Value::Str(b) | Value::Markup(b)) => {
                self.pay(a.len().min(b.len()))?;
                Ok(Some(a.cmp(b)))
            }
            (Value::List(a), Value::List(b))
            | (Value::Tuple(a) | Value::Group(a), Value::Tuple(b) | Value::Group(b)) => {
                for (a, b) in a.items.iter().zip(&b.items) {
                    if !self.equal(a, b)? {
                        return self.order(a, b, symbol);
                    }
                }
                Ok(Some(a.items.len().cmp(&b.items.len())))
            }
            _ if a.as_float().is_some() && b.as_float().is_some() => Ok(numeric_order(a, b)),
            _ => fail(format!(
                "'{symbol}' not supported between instances of '{}' and '{}'",
                a.type_name(),
                b.type_name()
            )),
        }
    }

    /// `item in container`.
    pub fn contains(&mut self, container: &Value, item: &Value) -> Result<bool> {
        match container {
            Value::Str(text) | Value::Markup(text) => match item {
                Value::Str(part) | Value::Markup(part) => {
                    self.pay(text.len())?;
                    Ok(text.contains(&**part))
                }
                _ => fail(format!(
                    "'in <string>' requires string as left operand, not {}",
                    item.type_name()
                )),
            },
            Value::Dict(dict) | Value::View(super::value::View::Keys, dict) => {
                Ok(dict.get(&Key::of(item)?).is_some())
            }
            Value::Range(range) => Ok(match item.as_float().and_then(super::value::whole) {
                Some(number) => {
                    let from = number - range.start;
                    from % range.step == 0 && (0..range.len()).contains(&(from / range.step))
                }
                None => false,
            }),
            _ => {
                for other in self.iterate(container)? {
                    if self.equal(&other, item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

/// The order of two numbers, an integer that no float can be among them.
fn numeric_order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a.as_int(), b.as_int(), a.as_float()?, b.as_float()?) {
        (Some(a), Some(b), ..) => Some(a.cmp(&b)),
        (Some(a), None, _, b) => match super::value::whole(b) {
            Some(b) => Some(a.cmp(&b)),
            None => (a as f64).partial_cmp(&b),
        },
        (None, Some(_), ..) => numeric_order(b, a).map(Ordering::reverse),
        (.., a, b) => a.partial_cmp(&b),
    }
}

fn too_large<T>() -> Result<T> {
    fail("an integer of more than 38 digits")
}

fn symbol(operator: Operator) -> &'static str {
    match operator {
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::FloorDivide => "//",
        Operator::Remainder => "%",
        Operator::Power => "**",
    }
}

fn integers(operator: Operator, a: i128, b: i128) -> Result<Value> {
    let zero = b == 0;
    let value = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide if zero => return fail("division by zero"),
        Operator::Divide => return Ok(Value::Float(a as f64 / b as f64)),
        Operator::FloorDivide | Operator::Remainder if zero => {
            return fail("integer division or modulo by zero");
        }
        Operator::FloorDivide => {
            let down = i128::from(a.wrapping_rem(b) != 0 && (a < 0) != (b < 0));
            a.checked_div(b).map(|quotient| quotient - down)
        }
        Operator::Remainder => {
            let rest = a.wrapping_rem(b);
            Some(if rest != 0 && (rest < 0) != (b < 0) {
                rest + b
            } else {
                rest
            })
        }
        Operator::Power if b < 0 => {
            return floats(operator, a as f64, b as f64).map(Value::Float);
        }
        Operator::Power => match a {
            0 | 1 => Some(if zero { 1 } else { a }),
            -1 => Some(if b % 2 == 0 { 1 } else { -1 }),
            _ => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        },
    };
    value.map_or_else(too_large, |value| Ok(Value::Int(value)))
}

/// `a operator b` of floats.
pub(super) fn floats(operator: Operator, a: f64, b: f64) -> Result<f64> {
    let value = match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide | Operator::FloorDivide | Operator::Remainder if b == 0.0 => {
            return fail("float division by zero");
        }
        Operator::Divide => a / b,
        Operator::FloorDivide => {
            let quotient = (a - remainder(a, b)) / b;
            if quotient == 0.0 {
                0f64.copysign(a / b)
            } else {
                let floor = quotient.floor();
                if quotient - floor > 0.5 {
                    floor + 1.0
                } else {
                    floor
                }
            }
        }
        Operator::Remainder => remainder(a, b),
        Operator::Power if a == 0.0 && b < 0.0 => {
            return fail("0.0 cannot be raised to a negative power");
        }
        Operator::Power if a < 0.0 && b.is_finite() && b.fract() != 0.0 => {
            return fail("a power that is a complex number");
        }
        Operator::Power => {
            let power = a.powf(b);
            if power.is_infinite() && a.is_finite() && b.is_finite() {
                return fail("(34, 'Numerical result out of range')");
            }
            power
        }
    };
    Ok(value)
}

/// The remainder with the divisor's sign.
fn remainder(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest == 0.0 {
        0f64.copysign(b)
    } else if (rest < 0.0) != (b < 0.0) {
        rest + b
    } else {
        rest
    }
}
