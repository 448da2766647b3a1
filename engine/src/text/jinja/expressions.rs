//! Tokens to expressions, after Jinja2's parser: its precedence is not Python's (`-1|abs` is 1, `2**3**2` is 64).

use std::sync::Arc;

use super::{
    ast::{Comparison, Conditional, Expr, ExprKind, Operator},
    failure::{Failure, Result, fail},
    lexer::{Kind, Token, early_end},
    value::Value,
};

/// Brackets and statements within each other beyond this are refused, before they take the stack (of which a browser has 1 MB).
const DEPTH_MAX: u16 = 100;

/// Levels of an expression, a chain of operators among them.
const HEIGHT_MAX: u16 = 200;

/// The tokens, and what is known of the macro they are in.
pub(super) struct Parser {
    pub tokens: Vec<Token>,
    pub at: usize,
    /// Levels that the parser is in.
    pub depth: u16,
    /// Names that were read, of those that decide what a macro takes.
    pub special_names: Vec<Arc<str>>,
    /// Unknown filters and tests of the current scope: an error, unless they stand in a branch that may not be taken.
    pub unknown: Vec<Failure>,
}

impl Parser {
    pub fn new(tokens: Vec<Token>) -> Parser {
        Parser {
            tokens,
            at: 0,
            depth: 0,
            special_names: Vec::new(),
            unknown: Vec::new(),
        }
    }

    pub fn line(&self) -> u32 {
        self.tokens[self.at].line
    }

    pub fn peek(&self) -> &Kind {
        &self.tokens[self.at].kind
    }

    pub fn look(&self) -> &Kind {
        let next = (self.at + 1).min(self.tokens.len() - 1);
        &self.tokens[next].kind
    }

    pub fn next(&mut self) -> Kind {
        let kind = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        kind
    }

    pub fn is_operator(&self, operator: &str) -> bool {
        matches!(self.peek(), Kind::Operator(this) if *this == operator)
    }

    pub fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Kind::Name(this) if &**this == name)
    }

    pub fn skip_operator(&mut self, operator: &str) -> bool {
        let found = self.is_operator(operator);
        if found {
            self.next();
        }
        found
    }

    pub fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        if found {
            self.next();
        }
        found
    }

    pub fn expect(&mut self, operator: &str) -> Result<()> {
        if self.skip_operator(operator) {
            return Ok(());
        }
        Err(self.unexpected(&format!("'{operator}'")))
    }

    pub fn expect_name(&mut self) -> Result<Arc<str>> {
        match self.peek().clone() {
            Kind::Name(name) => {
                self.next();
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// A failure at this token.
    pub fn unexpected(&self, wanted: &str) -> Failure {
        let found = match self.peek() {
            Kind::End => return early_end().at(self.line()),
            Kind::Text(_) => "text".to_owned(),
            Kind::VariableBegin => "'{{'".to_owned(),
            Kind::VariableEnd => "'}}'".to_owned(),
            Kind::BlockBegin => "'{%'".to_owned(),
            Kind::BlockEnd => "'%}'".to_owned(),
            Kind::Name(name) => format!("'{name}'"),
            Kind::Str(text) => format!("{text:?}"),
            Kind::Int(value) => value.to_string(),
            Kind::Float(value) => value.to_string(),
            Kind::Operator(operator) => format!("'{operator}'"),
        };
        Failure::new(format!("expected {wanted}, got {found}")).at(self.line())
    }

    /// Parses something inside something; not without end.
    pub fn within<T>(&mut self, parse: impl FnOnce(&mut Parser) -> Result<T>) -> Result<T> {
        self.depth += 1;
        let parsed = if self.depth > DEPTH_MAX {
            fail("the template is nested too deeply")
        } else {
            parse(self)
        };
        self.depth -= 1;
        parsed.map_err(|failure| failure.at(self.line()))
    }

    /// A node above others.
    pub fn node(line: u32, kind: ExprKind, below: u16) -> Result<Expr> {
        if below >= HEIGHT_MAX {
            return Err(Failure::new("the expression is nested too deeply").at(line));
        }
        let height = below + 1;
        Ok(Expr { line, height, kind })
    }

    pub fn expression(&mut self) -> Result<Expr> {
        self.within(Parser::conditional)
    }

    fn conditional(&mut self) -> Result<Expr> {
        let line = self.line();
        let unknown = self.unknown.len();
        let mut value = self.or()?;
        while self.skip_name("if") {
            let test = self.or()?;
            let other = if self.skip_name("else") {
                Some(self.within(Parser::conditional)?)
            } else {
                None
            };
            let height =
                tallest([&value, &test]).max(other.as_ref().map_or(0, |other| other.height));
            let kind = ExprKind::Conditional(Box::new(Conditional { value, test, other }));
            value = Parser::node(line, kind, height)?;
            self.unknown.truncate(unknown);
        }
        Ok(value)
    }

    fn or(&mut self) -> Result<Expr> {
        self.joined("or", Parser::and, ExprKind::Or)
    }

    fn and(&mut self) -> Result<Expr> {
        self.joined("and", Parser::not, ExprKind::And)
    }

    /// Expressions that `part` reads with `word` between them, joined from the left.
    fn joined(
        &mut self,
        word: &str,
        part: fn(&mut Parser) -> Result<Expr>,
        kind: fn(Box<[Expr; 2]>) -> ExprKind,
    ) -> Result<Expr> {
        let line = self.line();
        let mut left = part(self)?;
        while self.skip_name(word) {
            let right = part(self)?;
            let height = tallest([&left, &right]);
            left = Parser::node(line, kind(Box::new([left, right])), height)?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr> {
        let line = self.line();
        if !self.skip_name("not") {
            return self.compare();
        }
        let inner = self.within(Parser::not)?;
        let height = inner.height;
        Parser::node(line, ExprKind::Not(Box::new(inner)), height)
    }

    fn compare(&mut self) -> Result<Expr> {
        let line = self.line();
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(comparison) = self.comparison() {
            rest.push((comparison, self.sum()?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let height = tallest(rest.iter().map(|(_, expr)| expr)).max(first.height);
        Parser::node(line, ExprKind::Compare(Box::new(first), rest), height)
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let found = match self.peek() {
            Kind::Operator("==") => Comparison::Equal,
            Kind::Operator("!=") => Comparison::Unequal,
            Kind::Operator("<") => Comparison::Less,
            Kind::Operator("<=") => Comparison::LessEqual,
            Kind::Operator(">") => Comparison::Greater,
            Kind::Operator(">=") => Comparison::GreaterEqual,
            Kind::Name(name) if &**name == "in" => Comparison::In,
            Kind::Name(name)
                if &**name == "not"
                    && matches!(self.look(), Kind::Name(name) if &**name == "in") =>
            {
                self.next();
                Comparison::NotIn
            }
            _ => return None,
        };
        self.next();
        Some(found)
    }

    /// Operands with operators of one rank between them, from the left.
    fn chain(
        &mut self,
        operators: &[(&str, Operator)],
        operand: fn(&mut Parser) -> Result<Expr>,
    ) -> Result<Expr> {
        let line = self.line();
        let mut left = operand(self)?;
        while let Some(&(_, operator)) = operators.iter().find(|(name, _)| self.is_operator(name)) {
            self.next();
            let right = operand(self)?;
            let height = tallest([&left, &right]);
            left = Parser::node(
                line,
                ExprKind::Binary(operator, Box::new([left, right])),
                height,
            )?;
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expr> {
        let operators = [("+", Operator::Add), ("-", Operator::Subtract)];
        self.chain(&operators, Parser::concat)
    }

    fn concat(&mut self) -> Result<Expr> {
        let line = self.line();
        let mut parts = vec![self.product()?];
        while self.skip_operator("~") {
            parts.push(self.product()?);
        }
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        let height = tallest(&parts);
        Parser::node(line, ExprKind::Concat(parts), height)
    }

    fn product(&mut self) -> Result<Expr> {
        let operators = [
            ("*", Operator::Multiply),
            ("//", Operator::FloorDivide),
            ("/", Operator::Divide),
            ("%", Operator::Remainder),
        ];
        self.chain(&operators, |parser| {
            parser.chain(&[("**", Operator::Power)], |parser| parser.unary(true))
        })
    }

    fn unary(&mut self, with_filters: bool) -> Result<Expr> {
        let line = self.line();
        let expr = if self.is_operator("-") || self.is_operator("+") {
            let negative = self.next() == Kind::Operator("-");
            let inner = self.within(|parser| parser.unary(false))?;
            let height = inner.height;
            let kind = if negative {
                ExprKind::Negative(Box::new(inner))
            } else {
                ExprKind::Positive(Box::new(inner))
            };
            Parser::node(line, kind, height)?
        } else {
            self.primary()?
        };
        let expr = self.postfix(expr)?;
        if with_filters {
            self.filters(expr)
        } else {
            Ok(expr)
        }
    }

    pub fn primary(&mut self) -> Result<Expr> {
        let line = self.line();
        let kind = match self.peek().clone() {
            Kind::Name(name) => {
                self.next();
                self.name(name)
            }
            Kind::Str(mut text) => {
                self.next();
                while let Kind::Str(more) = self.peek() {
                    text.push_str(more);
                    self.next();
                }
                ExprKind::Const(Value::str(text))
            }
            Kind::Int(value) => {
                self.next();
                ExprKind::Const(Value::Int(value))
            }
            Kind::Float(value) => {
                self.next();
                ExprKind::Const(Value::Float(value))
            }
            Kind::Operator("(") => {
                self.next();
                let inner = self.within(|parser| parser.tuple(&[], true, true))?;
                self.expect(")")?;
                return Ok(inner);
            }
            Kind::Operator("[") => {
                self.next();
                let items = self.items("]")?;
                let height = tallest(&items);
                return Parser::node(line, ExprKind::List(items), height);
            }
            Kind::Operator("{") => return self.dict(),
            _ => return Err(self.unexpected("an expression")),
        };
        Parser::node(line, kind, 0)
    }

    fn name(&mut self, name: Arc<str>) -> ExprKind {
        match &*name {
            "true" | "True" => return ExprKind::Const(Value::Bool(true)),
            "false" | "False" => return ExprKind::Const(Value::Bool(false)),
            "none" | "None" => return ExprKind::Const(Value::None),
            "varargs" | "kwargs" | "caller" => self.special_names.push(name.clone()),
            _ => {}
        }
        ExprKind::Name(name)
    }

    /// Expressions up to a bracket, a comma between them and perhaps after the last.
    fn items(&mut self, close: &str) -> Result<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.is_operator(close) {
            if !items.is_empty() {
                self.expect(",")?;
                if self.is_operator(close) {
                    break;
                }
            }
            items.push(self.expression()?);
        }
        self.expect(close)?;
        Ok(items)
    }

    fn dict(&mut self) -> Result<Expr> {
        let line = self.line();
        self.expect("{")?;
        let mut entries = Vec::new();
        while !self.is_operator("}") {
            if !entries.is_empty() {
                self.expect(",")?;
                if self.is_operator("}") {
                    break;
                }
            }
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?));
        }
        self.expect("}")?;
        let height = tallest(entries.iter().flat_map(|(key, value)| [key, value]));
        Parser::node(line, ExprKind::Dict(entries), height)
    }

    /// One expression, or several with commas between them. `ends`: names that end it.
    pub fn tuple(&mut self, ends: &[&str], conditional: bool, in_brackets: bool) -> Result<Expr> {
        let line = self.line();
        let mut items = Vec::new();
        let mut is_tuple = false;
        loop {
            if !items.is_empty() {
                self.expect(",")?;
            }
            let ended = matches!(
                self.peek(),
                Kind::VariableEnd | Kind::BlockEnd | Kind::Operator(")")
            );
            if ended || ends.iter().any(|end| self.is_name(end)) {
                break;
            }
            items.push(if conditional {
                self.expression()?
            } else {
                self.within(Parser::or)?
            });
            if !self.is_operator(",") {
                break;
            }
            is_tuple = true;
        }
        if !is_tuple {
            match items.pop() {
                Some(item) => return Ok(item),
                None if !in_brackets => return Err(self.unexpected("an expression")),
                None => {}
            }
        }
        let height = tallest(&items);
        Parser::node(line, ExprKind::Tuple(items), height)
    }
}

/// Levels of the highest of expressions.
pub(super) fn tallest<'a>(exprs: impl IntoIterator<Item = &'a Expr>) -> u16 {
    exprs.into_iter().map(|expr| expr.height).max().unwrap_or(0)
}
