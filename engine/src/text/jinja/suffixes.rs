//! Suffixes of an expression: attributes, items and slices, calls, filters and tests.

use std::sync::Arc;

use super::{
    ast::{Arguments, Expr, ExprKind},
    expressions::{Parser, tallest},
    failure::{Failure, Result},
    filters,
    lexer::Kind,
    predicates,
    value::Value,
};

impl Parser {
    pub fn postfix(&mut self, mut expr: Expr) -> Result<Expr> {
        loop {
            expr = match self.peek() {
                Kind::Operator("." | "[") => self.subscript(expr)?,
                Kind::Operator("(") => self.call(expr)?,
                _ => return Ok(expr),
            };
        }
    }

    pub fn filters(&mut self, mut expr: Expr) -> Result<Expr> {
        loop {
            expr = match self.peek() {
                Kind::Operator("|") => {
                    self.next();
                    self.filter(expr)?
                }
                Kind::Name(name) if &**name == "is" => self.test(expr)?,
                Kind::Operator("(") => self.call(expr)?,
                _ => return Ok(expr),
            };
        }
    }

    fn subscript(&mut self, expr: Expr) -> Result<Expr> {
        let line = self.line();
        let height = expr.height;
        if self.skip_operator(".") {
            return match self.next() {
                Kind::Name(name) => {
                    Parser::node(line, ExprKind::Attribute(Box::new(expr), name), height)
                }
                Kind::Int(index) => {
                    let index = Parser::node(line, ExprKind::Const(Value::Int(index)), 0)?;
                    Parser::node(line, ExprKind::Item(Box::new([expr, index])), height)
                }
                _ => Err(Failure::new("expected name or number").at(line)),
            };
        }
        self.expect("[")?;
        let mut indexes = Vec::new();
        while !self.is_operator("]") {
            if !indexes.is_empty() {
                self.expect(",")?;
            }
            indexes.push(self.subscribed()?);
        }
        self.expect("]")?;
        let index = if indexes.len() == 1 {
            indexes.remove(0)
        } else {
            let height = tallest(&indexes);
            Parser::node(line, ExprKind::Tuple(indexes), height)?
        };
        let height = height.max(index.height);
        Parser::node(line, ExprKind::Item(Box::new([expr, index])), height)
    }

    /// An index or a slice.
    fn subscribed(&mut self) -> Result<Expr> {
        let line = self.line();
        let start = if self.is_operator(":") {
            None
        } else {
            Some(self.expression()?)
        };
        if !self.skip_operator(":") {
            return start.ok_or_else(|| self.unexpected("an index"));
        }
        let ends = |parser: &Parser| parser.is_operator("]") || parser.is_operator(",");
        let stop = if self.is_operator(":") || ends(self) {
            None
        } else {
            Some(self.expression()?)
        };
        let step = if self.skip_operator(":") && !ends(self) {
            Some(self.expression()?)
        } else {
            None
        };
        let parts = Box::new([start, stop, step]);
        let height = tallest(parts.iter().flatten());
        Parser::node(line, ExprKind::Slice(parts), height)
    }
}

/// Names after which a test takes nothing.
const NO_OPERAND: [&str; 3] = ["else", "or", "and"];

/// Calls, filters and tests.
impl Parser {
    fn call(&mut self, expr: Expr) -> Result<Expr> {
        let line = self.line();
        let (arguments, height) = self.arguments()?;
        let height = height.max(expr.height);
        Parser::node(
            line,
            ExprKind::Call(Box::new(expr), Box::new(arguments)),
            height,
        )
    }

    fn arguments(&mut self) -> Result<(Arguments, u16)> {
        let mut all = Arguments::default();
        let mut height = 0;
        self.expect("(")?;
        let invalid = |parser: &Parser| {
            Err(Failure::new("invalid syntax for function call expression").at(parser.line()))
        };
        let mut first = true;
        while !self.is_operator(")") {
            if !first {
                self.expect(",")?;
                if self.is_operator(")") {
                    break;
                }
            }
            first = false;
            let rest = self.is_operator("*");
            let named_rest = self.is_operator("**");
            let named = matches!(
                (self.peek(), self.look()),
                (Kind::Name(_), Kind::Operator("="))
            );
            if all.named_rest.is_some()
                || (!named && !named_rest && all.rest.is_some())
                || (!named && !named_rest && !rest && !all.named.is_empty())
            {
                return invalid(self);
            }
            if rest || named_rest {
                self.next();
            }
            let name = named.then(|| self.expect_name()).transpose()?;
            if named {
                self.next();
            }
            let value = self.expression()?;
            height = height.max(value.height);
            match name {
                Some(name) => all.named.push((name, value)),
                None if rest => all.rest = Some(value),
                None if named_rest => all.named_rest = Some(value),
                None => all.positional.push(value),
            }
        }
        self.expect(")")?;
        Ok((all, height))
    }

    fn dotted_name(&mut self) -> Result<Arc<str>> {
        let mut name = self.expect_name()?;
        while self.skip_operator(".") {
            name = format!("{name}.{}", self.expect_name()?).into();
        }
        Ok(name)
    }

    /// A filter over an expression, the bar before it read.
    pub fn filter(&mut self, expr: Expr) -> Result<Expr> {
        let line = self.line();
        let name = self.dotted_name()?;
        if !filters::exists(&name) {
            let failure = Failure::new(format!("No filter named '{name}'."));
            self.unknown.push(failure.at(line));
        }
        let (arguments, height) = if self.is_operator("(") {
            self.arguments()?
        } else {
            (Arguments::default(), 0)
        };
        let height = height.max(expr.height);
        let kind = ExprKind::Filter(Box::new(expr), name, Box::new(arguments));
        Parser::node(line, kind, height)
    }

    /// All filters that follow; the first without a bar where a statement begins with it.
    pub fn filter_chain(&mut self, expr: Expr, mut without_bar: bool) -> Result<Expr> {
        let mut expr = expr;
        while without_bar || self.skip_operator("|") {
            expr = self.filter(expr)?;
            without_bar = false;
        }
        Ok(expr)
    }

    fn test(&mut self, expr: Expr) -> Result<Expr> {
        let line = self.line();
        self.next();
        let negated = self.skip_name("not");
        let name = self.dotted_name()?;
        if !predicates::exists(&name) {
            let failure = Failure::new(format!("No test named '{name}'."));
            self.unknown.push(failure.at(line));
        }
        let (arguments, height) = match self.peek() {
            Kind::Operator("(") => self.arguments()?,
            Kind::Name(next) if &**next == "is" => {
                return Err(Failure::new("You cannot chain multiple tests with is").at(line));
            }
            Kind::Name(next) if NO_OPERAND.contains(&&**next) => (Arguments::default(), 0),
            Kind::Name(_)
            | Kind::Str(_)
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::Operator("[" | "{") => {
                let operand = self.within(Parser::primary)?;
                let operand = self.postfix(operand)?;
                let height = operand.height;
                let mut arguments = Arguments::default();
                arguments.positional.push(operand);
                (arguments, height)
            }
            _ => (Arguments::default(), 0),
        };
        let height = height.max(expr.height);
        let kind = ExprKind::Test(Box::new(expr), name, Box::new(arguments));
        let test = Parser::node(line, kind, height)?;
        if !negated {
            return Ok(test);
        }
        let height = test.height;
        Parser::node(line, ExprKind::Not(Box::new(test)), height)
    }
}
