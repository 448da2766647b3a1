//! Expressions to values.

use std::sync::Arc;

use super::{
    arguments::Args,
    ast::{Arguments, Comparison, Conditional, Expr, ExprKind},
    calls,
    failure::{Failure, Result, fail},
    filters, predicates,
    renderer::Renderer,
    value::{Dict, Function, Value},
};

impl<'a> Renderer<'a> {
    pub fn evaluate(&mut self, expr: &'a Expr) -> Result<Value> {
        self.deeper(|renderer| renderer.kind(expr))
            .map_err(|failure| failure.at(expr.line))
    }

    fn kind(&mut self, expr: &'a Expr) -> Result<Value> {
        match &expr.kind {
            ExprKind::Const(value) => Ok(value.clone()),
            ExprKind::Name(name) => self.name(name),
            ExprKind::Captured => Ok(self.captured.last().cloned().unwrap_or(Value::None)),
            ExprKind::Tuple(items) => Value::tuple(self.all(items)?),
            ExprKind::List(items) => Value::list(self.all(items)?),
            ExprKind::Dict(entries) => self.dict(entries),
            ExprKind::Conditional(parts) => self.conditional(parts),
            ExprKind::Or(sides) => match self.evaluate(&sides[0])? {
                left if left.truth() => Ok(left),
                _ => self.evaluate(&sides[1]),
            },
            ExprKind::And(sides) => match self.evaluate(&sides[0])? {
                left if !left.truth() => Ok(left),
                _ => self.evaluate(&sides[1]),
            },
            ExprKind::Not(inner) => Ok(Value::Bool(!self.evaluate(inner)?.truth())),
            ExprKind::Compare(first, rest) => self.comparisons(first, rest),
            ExprKind::Concat(parts) => self.concat(parts),
            ExprKind::Binary(operator, sides) => {
                let left = self.evaluate(&sides[0])?;
                let right = self.evaluate(&sides[1])?;
                self.binary(*operator, &left, &right)
            }
            ExprKind::Negative(inner) => {
                let value = self.evaluate(inner)?;
                Renderer::sign(&value, true)
            }
            ExprKind::Positive(inner) => {
                let value = self.evaluate(inner)?;
                Renderer::sign(&value, false)
            }
            ExprKind::Attribute(inner, name) => {
                let value = self.evaluate(inner)?;
                self.attribute(&value, name)
            }
            ExprKind::Item(parts) => self.item_or_slice(&parts[0], &parts[1]),
            ExprKind::Slice(_) => fail("unhashable type: 'slice'"),
            ExprKind::Call(..) => self.evaluate_call(expr, None),
            ExprKind::Filter(inner, name, arguments) => {
                let value = self.evaluate(inner)?;
                let args = self.arguments(arguments, None)?;
                filters::apply(self, name, value, args)
            }
            ExprKind::Test(inner, name, arguments) => {
                let value = self.evaluate(inner)?;
                let args = self.arguments(arguments, None)?;
                predicates::holds(self, name, &value, args).map(Value::Bool)
            }
        }
    }

    fn name(&self, name: &Arc<str>) -> Result<Value> {
        if let Some(value) = self.lookup(name) {
            return Ok(value.clone());
        }
        Ok(Value::Function(match &**name {
            "range" => Function::Range,
            "dict" => Function::Dict,
            "namespace" => Function::Namespace,
            "cycler" => Function::Cycler,
            "joiner" => Function::Joiner,
            "lipsum" => Function::Lipsum,
            "raise_exception" => Function::RaiseException,
            "strftime_now" => Function::StrftimeNow,
            "self" => return fail("blocks by name (self) are not there in Lantern"),
            _ => return Ok(Value::undefined(format!("'{name}' is undefined"))),
        }))
    }

    fn all(&mut self, exprs: &'a [Expr]) -> Result<Vec<Value>> {
        exprs.iter().map(|expr| self.evaluate(expr)).collect()
    }

    fn dict(&mut self, entries: &'a [(Expr, Expr)]) -> Result<Value> {
        let mut dict = Dict::default();
        for (key, value) in entries {
            let key = self.evaluate(key)?;
            dict.insert(key, self.evaluate(value)?)?;
        }
        Ok(Value::Dict(Arc::new(dict)))
    }

    fn conditional(&mut self, parts: &'a Conditional) -> Result<Value> {
        if self.evaluate(&parts.test)?.truth() {
            return self.evaluate(&parts.value);
        }
        match &parts.other {
            Some(other) => self.evaluate(other),
            None => Ok(Value::undefined(
                "the inline if-expression evaluated to false and no else section was defined.",
            )),
        }
    }

    fn comparisons(&mut self, first: &'a Expr, rest: &'a [(Comparison, Expr)]) -> Result<Value> {
        let mut left = self.evaluate(first)?;
        for (comparison, expr) in rest {
            let right = self.evaluate(expr)?;
            if !self.compares(*comparison, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    fn concat(&mut self, parts: &'a [Expr]) -> Result<Value> {
        let mut out = String::new();
        for value in self.all(parts)? {
            let text = self.text(&value)?;
            self.pay(out.len() / 8 + text.len())?;
            out.push_str(&text);
        }
        Ok(Value::str(out))
    }

    fn item_or_slice(&mut self, inner: &'a Expr, index: &'a Expr) -> Result<Value> {
        let value = self.evaluate(inner)?;
        let ExprKind::Slice(parts) = &index.kind else {
            let index = self.evaluate(index)?;
            return self.item(&value, &index);
        };
        let mut bounds = [None; 3];
        for (bound, part) in bounds.iter_mut().zip(parts.iter()) {
            let Some(part) = part else { continue };
            let part = self.evaluate(part)?;
            if !matches!(part, Value::None) {
                let not_int = || {
                    Failure::new(
                        "slice indices must be integers or None or have an __index__ method",
                    )
                };
                *bound = Some(part.as_int().ok_or_else(not_int)?);
            }
        }
        self.slice(&value, bounds)
    }

    /// A call, which a call block gives a caller.
    pub fn evaluate_call(&mut self, expr: &'a Expr, caller: Option<Value>) -> Result<Value> {
        let ExprKind::Call(callee, arguments) = &expr.kind else {
            return self.evaluate(expr);
        };
        let callee = self.evaluate(callee)?;
        let args = self.arguments(arguments, caller)?;
        calls::call(self, &callee, args).map_err(|failure| failure.at(expr.line))
    }

    fn arguments(&mut self, arguments: &'a Arguments, caller: Option<Value>) -> Result<Args> {
        let mut positional = self.all(&arguments.positional)?;
        let mut named = Vec::new();
        for (name, value) in &arguments.named {
            if named.iter().any(|(other, _)| other == name) {
                return fail(format!("keyword argument repeated: {name}"));
            }
            named.push((name.clone(), self.evaluate(value)?));
        }
        named.extend(caller.map(|caller| ("caller".into(), caller)));
        if let Some(rest) = &arguments.rest {
            let rest = self.evaluate(rest)?;
            positional.extend(self.iterate(&rest)?);
        }
        if let Some(rest) = &arguments.named_rest {
            let Value::Dict(dict) = self.evaluate(rest)? else {
                return fail("argument after ** must be a mapping");
            };
            for (key, value) in dict.entries() {
                let Value::Str(name) = key else {
                    return fail("keywords must be strings");
                };
                if named.iter().any(|(other, _)| other == name) {
                    return fail(format!("got multiple values for keyword argument '{name}'"));
                }
                named.push((name.clone(), value.clone()));
            }
        }
        Ok(Args { positional, named })
    }
}
