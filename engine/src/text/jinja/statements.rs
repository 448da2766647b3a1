//! Tokens to statements, after Jinja2's parser with the tags of `loopcontrols` and the tag `generation` of `transformers`.

use std::sync::Arc;

use super::{
    ast::{Body, Expr, ExprKind, For, Macro, Stmt, StmtKind, Target},
    expressions::Parser,
    failure::{Failure, Result, fail},
    lexer::{self, Kind, early_end},
    scopes,
};

/// Names that nothing can be assigned to.
const CONSTANTS: [&str; 6] = ["true", "false", "none", "True", "False", "None"];

/// The statements of a template.
pub(super) fn parse(source: &str) -> Result<Body> {
    let mut parser = Parser::new(lexer::tokens(source)?);
    let (mut body, _) = parser.body(&[])?;
    if let Some(failure) = parser.unknown.into_iter().next() {
        return Err(failure);
    }
    scopes::hide(&mut body);
    Ok(body)
}

impl Parser {
    /// Statements up to one of these tags, whose name is read and given back; without any, up to the end.
    fn body(&mut self, ends: &[&'static str]) -> Result<(Body, &'static str)> {
        self.within(|parser| parser.statements(ends))
    }

    fn statements(&mut self, ends: &[&'static str]) -> Result<(Body, &'static str)> {
        let mut body = Vec::new();
        loop {
            let line = self.line();
            match self.next() {
                Kind::Text(text) => body.push(Stmt {
                    line,
                    kind: StmtKind::Text(text),
                }),
                Kind::VariableBegin => {
                    let expr = self.tuple(&[], true, false)?;
                    if self.next() != Kind::VariableEnd {
                        self.at -= 1;
                        return Err(self.unexpected("end of print statement"));
                    }
                    body.push(Stmt {
                        line,
                        kind: StmtKind::Output(vec![expr]),
                    });
                }
                Kind::BlockBegin => {
                    if let Some(end) = ends.iter().find(|end| self.is_name(end)) {
                        self.next();
                        return Ok((body, end));
                    }
                    let kind = self.statement()?;
                    body.push(Stmt { line, kind });
                    self.block_end()?;
                }
                Kind::End if ends.is_empty() => return Ok((body, "")),
                _ => return Err(early_end().at(line)),
            }
        }
    }

    fn block_end(&mut self) -> Result<()> {
        if *self.peek() != Kind::BlockEnd {
            return Err(self.unexpected("'%}'"));
        }
        self.next();
        Ok(())
    }

    /// A body after the end of its tag, up to the tag that ends it.
    fn block(&mut self, end: &'static str) -> Result<Body> {
        self.skip_operator(":");
        self.block_end()?;
        Ok(self.body(&[end])?.0)
    }

    /// A body whose variables are its own: what is unknown in it is an error wherever it stands.
    fn scope<T>(&mut self, parse: impl FnOnce(&mut Parser) -> Result<T>) -> Result<T> {
        let outside = std::mem::take(&mut self.unknown);
        let parsed = parse(self)?;
        match std::mem::replace(&mut self.unknown, outside)
            .into_iter()
            .next()
        {
            Some(failure) => Err(failure),
            None => Ok(parsed),
        }
    }

    fn statement(&mut self) -> Result<StmtKind> {
        let line = self.line();
        let name = self.expect_name()?;
        match &*name {
            "for" => self.for_loop(),
            "if" => self.if_chain(),
            "set" => self.set(),
            "macro" => self.macro_definition(),
            "call" => self.call_block(),
            "filter" => self.scope(|parser| {
                let filter = parser.captured_filter(true)?;
                Ok(StmtKind::FilterBlock(filter, parser.block("endfilter")?))
            }),
            "with" => self.with(),
            "generation" => {
                self.scope(|parser| Ok(StmtKind::Scope(parser.block("endgeneration")?)))
            }
            "autoescape" => self.autoescape(),
            "block" => self.named_block(),
            "print" => self.print(),
            "break" => Ok(StmtKind::Break),
            "continue" => Ok(StmtKind::Continue),
            "extends" => self.other_template("extends"),
            "include" => self.other_template("include"),
            "import" => self.other_template("import"),
            "from" => self.other_template("from"),
            _ => Err(Failure::new(format!("Encountered unknown tag '{name}'.")).at(line)),
        }
    }

    /// A tag that names another template, and after that says how it is used.
    fn other_template(&mut self, tag: &'static str) -> Result<StmtKind> {
        self.expression()?;
        match tag {
            "from" if !self.skip_name("import") => return Err(self.unexpected("'import'")),
            "import" if !self.skip_name("as") => return Err(self.unexpected("'as'")),
            _ => {}
        }
        let how = ["ignore", "missing", "with", "without", "context"];
        let names = ["from", "import"].contains(&tag); // any, and commas
        while matches!(self.peek(), Kind::Name(name) if names || how.contains(&&**name))
            || (names && self.is_operator(","))
        {
            self.next();
        }
        Ok(StmtKind::OtherTemplate(tag))
    }

    fn for_loop(&mut self) -> Result<StmtKind> {
        let line = self.line();
        let target = self.target(false)?;
        if names(&target).contains(&"loop") {
            let message = "Can't assign to special loop variable in for-loop target";
            return Err(Failure::new(message).at(line));
        }
        if !self.skip_name("in") {
            return Err(self.unexpected("'in'"));
        }
        let iterable = self.tuple(&["recursive"], false, false)?;
        self.scope(|parser| {
            let test = if parser.skip_name("if") {
                Some(parser.expression()?)
            } else {
                None
            };
            let recursive = parser.skip_name("recursive");
            parser.skip_operator(":");
            parser.block_end()?;
            let (body, end) = parser.body(&["endfor", "else"])?;
            let otherwise = if end == "else" {
                parser.block("endfor")?
            } else {
                Vec::new()
            };
            Ok(StmtKind::For(Box::new(For {
                target,
                iterable,
                test,
                recursive,
                body,
                otherwise,
            })))
        })
    }

    fn if_chain(&mut self) -> Result<StmtKind> {
        let unknown = self.unknown.len();
        let mut branches = Vec::new();
        let otherwise = loop {
            let test = self.tuple(&[], false, false)?;
            self.skip_operator(":");
            self.block_end()?;
            let (body, end) = self.body(&["elif", "else", "endif"])?;
            branches.push((test, body));
            match end {
                "elif" => {}
                "else" => break self.block("endif")?,
                _ => break Vec::new(),
            }
        };
        self.unknown.truncate(unknown);
        Ok(StmtKind::If(branches, otherwise))
    }

    fn set(&mut self) -> Result<StmtKind> {
        let target = self.target(true)?;
        if self.skip_operator("=") {
            return Ok(StmtKind::Set(target, self.tuple(&[], true, false)?));
        }
        self.scope(|parser| {
            let filter = if parser.is_operator("|") {
                Some(parser.captured_filter(false)?)
            } else {
                None
            };
            let body = parser.block("endset")?;
            Ok(StmtKind::SetBlock(target, filter, body))
        })
    }

    /// Filters over what a body writes.
    fn captured_filter(&mut self, without_bar: bool) -> Result<Expr> {
        let captured = Expr {
            line: self.line(),
            height: 1,
            kind: ExprKind::Captured,
        };
        self.filter_chain(captured, without_bar)
    }

    fn target(&mut self, with_attributes: bool) -> Result<Target> {
        let mut targets = Vec::new();
        let mut is_tuple = false;
        loop {
            // Neither `in` nor `=` ends one after a comma, as in Jinja2.
            let kind = self.peek();
            if matches!(
                kind,
                Kind::VariableEnd | Kind::BlockEnd | Kind::Operator(")")
            ) {
                break;
            }
            targets.push(self.within(|parser| parser.one_target(with_attributes))?);
            if !self.skip_operator(",") {
                break;
            }
            is_tuple = true;
        }
        match (is_tuple, targets.pop()) {
            (false, Some(target)) => Ok(target),
            (false, None) => Err(self.unexpected("a name to assign to")),
            (true, last) => {
                targets.extend(last);
                Ok(Target::Tuple(targets))
            }
        }
    }

    fn one_target(&mut self, with_attributes: bool) -> Result<Target> {
        if self.skip_operator("(") {
            let inner = self.target(with_attributes)?;
            self.expect(")")?;
            return Ok(inner);
        }
        let name = self.name_to_assign()?;
        if with_attributes && self.skip_operator(".") {
            return Ok(Target::Attribute(name, self.expect_name()?));
        }
        Ok(Target::Name(name))
    }

    fn name_to_assign(&mut self) -> Result<Arc<str>> {
        let line = self.line();
        let name = self.expect_name()?;
        if CONSTANTS.contains(&&*name) {
            return Err(Failure::new(format!("can't assign to '{name}'")).at(line));
        }
        Ok(name)
    }

    fn macro_definition(&mut self) -> Result<StmtKind> {
        let name = self.name_to_assign()?;
        let made = self.scope(|parser| parser.macro_with(Some(name), |_| Ok(()), "endmacro"))?;
        Ok(StmtKind::Macro(Arc::new(made.0)))
    }

    fn call_block(&mut self) -> Result<StmtKind> {
        let (body, call) = self.scope(|parser| {
            parser.macro_with(
                None,
                |parser| {
                    let line = parser.line();
                    let call = parser.expression()?;
                    match call.kind {
                        ExprKind::Call(..) => Ok(call),
                        _ => Err(Failure::new("expected call").at(line)),
                    }
                },
                "endcall",
            )
        })?;
        Ok(StmtKind::CallBlock(Arc::new(body), call))
    }

    /// A macro: its parameters, what `between` reads, its body.
    fn macro_with<T>(
        &mut self,
        name: Option<Arc<str>>,
        between: impl FnOnce(&mut Parser) -> Result<T>,
        end: &'static str,
    ) -> Result<(Macro, T)> {
        let (mut parameters, mut defaults) = (Vec::new(), Vec::new());
        let outside = std::mem::take(&mut self.special_names);
        if name.is_some() || self.is_operator("(") {
            self.signature(&mut parameters, &mut defaults)?;
        }
        let inside = std::mem::take(&mut self.special_names);
        let read = between(self)?;
        let of_call = std::mem::replace(&mut self.special_names, inside);
        let body = self.block(end)?;
        let takes = |special: &str| self.special_names.iter().any(|name| &**name == special);
        let is_parameter = |name: &str| parameters.iter().any(|one: &Arc<str>| &**one == name);
        let made = Macro {
            takes_varargs: takes("varargs") && !is_parameter("varargs"),
            takes_kwargs: takes("kwargs") && !is_parameter("kwargs"),
            takes_caller: takes("caller"),
            name,
            parameters,
            defaults,
            body,
        };
        self.special_names = outside;
        self.special_names.extend(of_call);
        Ok((made, read))
    }

    fn signature(&mut self, names: &mut Vec<Arc<str>>, defaults: &mut Vec<Expr>) -> Result<()> {
        self.expect("(")?;
        while !self.is_operator(")") {
            if !names.is_empty() {
                self.expect(",")?;
            }
            let name = self.name_to_assign()?;
            if names.contains(&name) {
                let message = format!("duplicate argument '{name}' in function definition");
                return Err(Failure::new(message).at(self.line()));
            }
            names.push(name);
            if self.skip_operator("=") {
                defaults.push(self.expression()?);
            } else if !defaults.is_empty() {
                return Err(
                    Failure::new("non-default argument follows default argument").at(self.line()),
                );
            }
        }
        self.expect(")")
    }

    fn with(&mut self) -> Result<StmtKind> {
        self.scope(|parser| {
            let mut values = Vec::new();
            while *parser.peek() != Kind::BlockEnd {
                if !values.is_empty() {
                    parser.expect(",")?;
                }
                let target = parser.one_target(false)?;
                parser.expect("=")?;
                values.push((target, parser.expression()?));
            }
            Ok(StmtKind::With(values, parser.block("endwith")?))
        })
    }

    fn autoescape(&mut self) -> Result<StmtKind> {
        if !(self.skip_name("false") || self.skip_name("False")) {
            return fail("autoescape can only be false: a prompt is no HTML");
        }
        self.scope(|parser| Ok(StmtKind::Scope(parser.block("endautoescape")?)))
    }

    fn named_block(&mut self) -> Result<StmtKind> {
        let name = self.expect_name()?;
        self.skip_name("scoped");
        if self.skip_name("required") {
            return fail("a required block takes another template, and there is none");
        }
        let body = self.scope(|parser| parser.block("endblock"))?;
        self.skip_name(&name);
        Ok(StmtKind::Block(body))
    }

    fn print(&mut self) -> Result<StmtKind> {
        let mut values = Vec::new();
        while *self.peek() != Kind::BlockEnd {
            if !values.is_empty() {
                self.expect(",")?;
            }
            values.push(self.expression()?);
        }
        Ok(StmtKind::Output(values))
    }
}

/// Names that a target assigns to.
fn names(target: &Target) -> Vec<&str> {
    match target {
        Target::Name(name) => vec![name],
        Target::Attribute(..) => Vec::new(),
        Target::Tuple(targets) => targets.iter().flat_map(names).collect(),
    }
}
