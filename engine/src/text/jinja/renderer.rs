//! Runs the statements of a template. What it may take is counted: steps, bytes written, and how deep it goes.

use std::{collections::HashMap, sync::Arc};

use super::{
    ast::{Body, Expr, For, Macro, Stmt, StmtKind, Target},
    failure::{Failure, Result, fail},
    value::{Dict, Value},
};

/// Steps of one rendering, and 64 bytes each of what is made. Conversations take thousands; this is about a second of work and 256 MB.
const FUEL: u64 = 4_000_000;

/// Bytes for which a step is counted.
const BYTES_A_STEP: usize = 64;

/// Statements and expressions within each other while rendering, calls of macros among them.
const DEPTH_MAX: u32 = 400;

/// Clock that `strftime_now` asks.
pub(super) type Clock<'a> = &'a dyn Fn(&str) -> std::result::Result<String, String>;

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
}

/// Variables of a scope.
#[derive(Default)]
struct Frame {
    names: HashMap<Arc<str>, Value>,
    parent: Option<usize>,
}

/// A macro where it was defined.
#[derive(Clone, Copy)]
pub(super) struct Closure<'a> {
    pub definition: &'a Macro,
    pub frame: usize,
}

/// A loop that runs.
pub(super) struct Loop<'a> {
    pub items: Vec<Value>,
    pub index: usize,
    pub depth: usize,
    pub changed: Option<Vec<Value>>,
    /// Loop that `loop(…)` runs again, and its scope.
    pub recursive: Option<(&'a For, usize)>,
}

/// Items in turn, as `cycler(…)` gives them.
pub(super) struct Cycler {
    pub items: Vec<Value>,
    pub at: usize,
}

/// Separator that is left out the first time, as `joiner(…)` gives it.
pub(super) struct Joiner {
    pub separator: Value,
    pub used: bool,
}

/// A rendering that runs.
pub(super) struct Renderer<'a> {
    pub clock: Clock<'a>,
    context: &'a Dict,
    fuel: u64,
    depth: u32,
    /// Text written so far; each that captures has its own.
    out: Vec<String>,
    pub captured: Vec<Value>,
    frames: Vec<Frame>,
    frame: usize,
    pub iterators: Vec<std::vec::IntoIter<Value>>,
    pub namespaces: Vec<Dict>,
    pub cyclers: Vec<Cycler>,
    pub joiners: Vec<Joiner>,
    pub loops: Vec<Loop<'a>>,
    pub macros: Vec<Closure<'a>>,
}

/// Renders a template with these variables.
pub(super) fn render(body: &Body, context: &Dict, clock: Clock<'_>) -> Result<String> {
    let mut renderer = Renderer {
        clock,
        context,
        fuel: FUEL,
        depth: 0,
        out: vec![String::new()],
        captured: Vec::new(),
        frames: vec![Frame::default()],
        frame: 0,
        iterators: Vec::new(),
        namespaces: Vec::new(),
        cyclers: Vec::new(),
        joiners: Vec::new(),
        loops: Vec::new(),
        macros: Vec::new(),
    };
    renderer.whole(body)?;
    Ok(renderer.out.pop().unwrap_or_default())
}

impl<'a> Renderer<'a> {
    /// Counts a step.
    pub fn step(&mut self) -> Result<()> {
        self.steps(1)
    }

    pub fn steps(&mut self, steps: usize) -> Result<()> {
        match self.fuel.checked_sub(steps as u64) {
            Some(left) => {
                self.fuel = left;
                Ok(())
            }
            None => fail("the template does more work than any honest one; it is stopped"),
        }
    }

    /// Counts bytes that are about to be made.
    pub fn pay(&mut self, bytes: usize) -> Result<()> {
        self.steps(bytes / BYTES_A_STEP)
    }

    /// Does something one level down.
    pub fn deeper<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.step()?;
        self.depth += 1;
        let done = if self.depth > DEPTH_MAX {
            fail("the template calls itself too deeply")
        } else {
            act(self)
        };
        self.depth -= 1;
        done
    }

    pub fn write(&mut self, text: &str) -> Result<()> {
        self.pay(text.len())?;
        if let Some(out) = self.out.last_mut() {
            out.push_str(text);
        }
        Ok(())
    }

    /// Captures the text that something writes.
    pub fn capture(&mut self, act: impl FnOnce(&mut Self) -> Result<()>) -> Result<Value> {
        self.out.push(String::new());
        let done = act(self);
        let text = self.out.pop().unwrap_or_default();
        done.map(|()| Value::str(text))
    }

    /// Does something with variables of its own, over those of `parent`.
    pub fn in_frame<T>(
        &mut self,
        parent: usize,
        act: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let (before, macros) = (self.frame, self.macros.len());
        let own = self.frames.len();
        self.frames.push(Frame {
            names: HashMap::new(),
            parent: Some(parent),
        });
        self.frame = own;
        let done = act(self);
        self.frame = before;
        if self.macros.len() == macros {
            self.frames.truncate(own); // else a macro may still read them
        }
        done
    }

    pub fn set(&mut self, name: &Arc<str>, value: Value) {
        self.frames[self.frame].names.insert(name.clone(), value);
    }

    pub fn lookup(&self, name: &str) -> Option<&Value> {
        let mut frame = Some(self.frame);
        while let Some(at) = frame {
            if let Some(value) = self.frames[at].names.get(name) {
                return Some(value);
            }
            frame = self.frames[at].parent;
        }
        self.context.text(name)
    }

    /// A body that no loop is around.
    pub fn whole(&mut self, body: &'a [Stmt]) -> Result<()> {
        match self.body(body)? {
            Flow::Next => Ok(()),
            Flow::Break => fail("'break' outside loop"),
            Flow::Continue => fail("'continue' outside loop"),
        }
    }

    pub fn body(&mut self, body: &'a [Stmt]) -> Result<Flow> {
        for stmt in body {
            let flow = self
                .deeper(|renderer| renderer.statement(stmt))
                .map_err(|failure| failure.at(stmt.line))?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, stmt: &'a Stmt) -> Result<Flow> {
        match &stmt.kind {
            StmtKind::Text(text) => self.write(text)?,
            StmtKind::Output(values) => {
                for value in values {
                    let value = self.evaluate(value)?;
                    let text = self.text(&value)?;
                    self.write(&text)?;
                }
            }
            StmtKind::If(branches, otherwise) => {
                for (test, body) in branches {
                    if self.evaluate(test)?.truth() {
                        return self.body(body);
                    }
                }
                return self.body(otherwise);
            }
            StmtKind::For(each) => {
                let iterable = self.evaluate(&each.iterable)?;
                return self.run_loop(each, &iterable, 0);
            }
            StmtKind::Set(target, value) => {
                let value = self.evaluate(value)?;
                self.assign(target, value)?;
            }
            StmtKind::Hide(names) => {
                for name in names {
                    self.set(name, Value::undefined(format!("'{name}' is undefined")));
                }
            }
            StmtKind::SetBlock(target, filter, body) => {
                let value = self.captured_body(filter.as_ref(), body)?;
                self.assign(target, value)?;
            }
            StmtKind::FilterBlock(filter, body) => {
                let value = self.captured_body(Some(filter), body)?;
                let (Value::Str(text) | Value::Markup(text)) = &value else {
                    let kind = value.type_name();
                    return fail(format!("a filter block gives a str, not a {kind}"));
                };
                self.write(text)?;
            }
            StmtKind::Macro(definition) => self.define(definition),
            StmtKind::CallBlock(definition, call) => self.call_block(definition, call)?,
            StmtKind::With(values, body) => return self.with(values, body),
            StmtKind::Scope(body) => {
                let frame = self.frame;
                return self.in_frame(frame, |renderer| renderer.body(body));
            }
            StmtKind::Block(body) => self.in_frame(0, |renderer| renderer.whole(body))?,
            StmtKind::Break => return Ok(Flow::Break),
            StmtKind::Continue => return Ok(Flow::Continue),
            StmtKind::OtherTemplate(tag) => {
                return fail(format!("'{tag}' takes another template, and there is none"));
            }
        }
        Ok(Flow::Next)
    }

    fn define(&mut self, definition: &'a Macro) {
        let value = self.closure(definition);
        if let Some(name) = &definition.name {
            self.set(name, value);
        }
    }

    fn closure(&mut self, definition: &'a Macro) -> Value {
        let frame = self.frame;
        self.macros.push(Closure { definition, frame });
        Value::Macro(self.macros.len() - 1)
    }

    fn call_block(&mut self, definition: &'a Macro, call: &'a Expr) -> Result<()> {
        let caller = self.closure(definition);
        let value = self.evaluate_call(call, Some(caller))?;
        let text = self.text(&value)?;
        self.write(&text)
    }

    fn with(&mut self, values: &'a [(Target, Expr)], body: &'a Body) -> Result<Flow> {
        let mut evaluated = Vec::new();
        for (target, value) in values {
            evaluated.push((target, self.evaluate(value)?));
        }
        self.in_frame(self.frame, |renderer| {
            for (target, value) in evaluated {
                renderer.assign(target, value)?;
            }
            renderer.body(body)
        })
    }

    fn captured_body(&mut self, filter: Option<&'a Expr>, body: &'a Body) -> Result<Value> {
        let frame = self.frame;
        self.in_frame(frame, |renderer| {
            let text = renderer.capture(|renderer| renderer.whole(body))?;
            let Some(filter) = filter else {
                return Ok(text);
            };
            renderer.captured.push(text);
            let value = renderer.evaluate(filter);
            renderer.captured.pop();
            value
        })
    }

    fn assign(&mut self, target: &Target, value: Value) -> Result<()> {
        match target {
            Target::Name(name) => self.set(name, value),
            Target::Attribute(name, attribute) => match self.lookup(name) {
                Some(&Value::Namespace(id)) => {
                    let named = Value::str(attribute.clone());
                    check_attribute(&named)?;
                    self.namespaces[id].insert(named, value)?;
                }
                _ => return fail("cannot assign attribute on non-namespace object"),
            },
            Target::Tuple(targets) => {
                let values = self.iterate(&value)?;
                if values.len() != targets.len() {
                    let (wanted, got) = (targets.len(), values.len());
                    return fail(format!(
                        "{got} values to unpack, where {wanted} are expected"
                    ));
                }
                for (target, value) in targets.iter().zip(values) {
                    self.assign(target, value)?;
                }
            }
        }
        Ok(())
    }

    /// Runs a loop, or what stands for it where there is nothing.
    pub fn run_loop(&mut self, each: &'a For, iterable: &Value, depth: usize) -> Result<Flow> {
        let mut items = self.iterate(iterable)?;
        if let Some(test) = &each.test {
            let mut kept = Vec::new();
            for item in items {
                let copy = item.clone();
                let holds = self.in_frame(self.frame, |renderer| {
                    renderer.assign(&each.target, copy)?;
                    renderer.evaluate(test)
                })?;
                if holds.truth() {
                    kept.push(item);
                }
            }
            items = kept;
        }
        let frame = self.frame;
        if items.is_empty() {
            return self.in_frame(frame, |renderer| renderer.body(&each.otherwise));
        }
        let id = self.loops.len();
        self.loops.push(Loop {
            items: items.clone(),
            index: 0,
            depth,
            changed: None,
            recursive: each.recursive.then_some((each, frame)),
        });
        let name: Arc<str> = "loop".into();
        for (index, item) in items.into_iter().enumerate() {
            self.step()?;
            self.loops[id].index = index;
            let flow = self.in_frame(frame, |renderer| {
                renderer.set(&name, Value::Loop(id));
                renderer.assign(&each.target, item)?;
                renderer.body(&each.body)
            })?;
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }
}

/// An error for an attribute that a namespace cannot have.
pub(super) fn check_attribute(name: &Value) -> Result<()> {
    match name.as_str() {
        Some(name) if name.starts_with('_') => Err(Failure::new(format!(
            "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '{name}'."
        ))),
        _ => Ok(()),
    }
}
