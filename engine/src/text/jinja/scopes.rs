//! Names and their scopes, decided before anything is rendered, as Jinja2's compiler decides them: a name that a scope assigns to before it
//! reads it is that scope's own from its beginning. In `{% for … %}{{ x }}{% endfor %}{% set x = 1 %}` the loop sees no `x` of the
//! caller's.

use std::{collections::HashSet, sync::Arc};

use super::ast::{Arguments, Body, Expr, ExprKind, For, Macro, Stmt, StmtKind, Target};

/// Names that a scope knows, and those that are undefined at its beginning.
#[derive(Clone, Default)]
struct Scope {
    known: HashSet<Arc<str>>,
    hidden: Vec<Arc<str>>,
}

/// Scopes around a statement, the innermost last.
type Around<'a> = Vec<&'a Scope>;

/// Puts in front of each body the names that are hidden in it.
pub(super) fn hide(body: &mut Body) {
    scope(body, &[], &Vec::new());
}

fn scope(body: &mut Body, parameters: &[&Target], around: &Around<'_>) {
    let mut own = Scope::default();
    for target in parameters {
        names(target, &mut |name| {
            own.known.insert(name.clone());
        });
    }
    walk(body, &mut own, around);
    let mut around = around.clone();
    around.push(&own);
    bodies(body, &around);
    if !own.hidden.is_empty() {
        let line = body.first().map_or(1, |stmt| stmt.line);
        let kind = StmtKind::Hide(own.hidden.clone());
        body.insert(0, Stmt { line, kind });
    }
}

impl Scope {
    fn load(&mut self, name: &Arc<str>) {
        self.known.insert(name.clone());
    }

    fn store(&mut self, name: &Arc<str>, around: &Around<'_>) {
        let outside = around.iter().any(|scope| scope.known.contains(name));
        if self.known.insert(name.clone()) && !outside {
            self.hidden.push(name.clone());
        }
    }
}

/// Names that statements load and store, in the order of Jinja2's visitor.
fn walk(body: &[Stmt], own: &mut Scope, around: &Around<'_>) {
    for stmt in body {
        match &stmt.kind {
            StmtKind::Output(values) => values.iter().for_each(|value| load(value, own)),
            StmtKind::If(branches, otherwise) => branch(branches, otherwise, own, around),
            StmtKind::For(each) => load(&each.iterable, own),
            StmtKind::Set(target, value) => {
                load(value, own);
                assign(target, own, around);
            }
            StmtKind::SetBlock(target, ..) => assign(target, own, around),
            StmtKind::Macro(definition) => {
                if let Some(name) = &definition.name {
                    own.store(name, around);
                }
            }
            StmtKind::CallBlock(_, call) => load(call, own),
            StmtKind::FilterBlock(filter, _) => load(filter, own),
            StmtKind::With(values, _) => values.iter().for_each(|(_, value)| load(value, own)),
            StmtKind::Text(_)
            | StmtKind::Hide(_)
            | StmtKind::Scope(_)
            | StmtKind::Block(_)
            | StmtKind::Break
            | StmtKind::Continue
            | StmtKind::OtherTemplate(_) => {}
        }
    }
}

/// Branches: what only some of them assign to is still looked for outside.
fn branch(branches: &[(Expr, Body)], otherwise: &Body, own: &mut Scope, around: &Around<'_>) {
    let Some(((test, body), rest)) = branches.split_first() else {
        return walk(otherwise, own, around);
    };
    load(test, own);
    let mut taken = own.clone();
    walk(body, &mut taken, around);
    let mut other = own.clone();
    branch(rest, otherwise, &mut other, around);
    let before = own.hidden.len();
    let in_both = |name: &&Arc<str>| other.hidden[before..].contains(name);
    let hidden: Vec<_> = taken.hidden[before..]
        .iter()
        .filter(in_both)
        .cloned()
        .collect();
    own.hidden.extend(hidden);
    own.known.extend(taken.known);
    own.known.extend(other.known);
}

fn assign(target: &Target, own: &mut Scope, around: &Around<'_>) {
    match target {
        Target::Attribute(name, _) => own.load(name),
        _ => names(target, &mut |name| own.store(name, around)),
    }
}

fn names(target: &Target, each: &mut dyn FnMut(&Arc<str>)) {
    match target {
        Target::Name(name) => each(name),
        Target::Attribute(..) => {}
        Target::Tuple(targets) => targets.iter().for_each(|target| names(target, each)),
    }
}

fn load(expr: &Expr, own: &mut Scope) {
    let mut all = |exprs: &[Expr]| exprs.iter().for_each(|expr| load(expr, own));
    match &expr.kind {
        ExprKind::Const(_) | ExprKind::Captured => {}
        ExprKind::Name(name) => own.load(name),
        ExprKind::Tuple(items) | ExprKind::List(items) | ExprKind::Concat(items) => all(items),
        ExprKind::Dict(entries) => {
            for (key, value) in entries {
                load(key, own);
                load(value, own);
            }
        }
        ExprKind::Conditional(parts) => {
            load(&parts.test, own);
            load(&parts.value, own);
            if let Some(other) = &parts.other {
                load(other, own);
            }
        }
        ExprKind::Or(sides)
        | ExprKind::And(sides)
        | ExprKind::Item(sides)
        | ExprKind::Binary(_, sides) => all(&sides[..]),
        ExprKind::Not(inner)
        | ExprKind::Negative(inner)
        | ExprKind::Positive(inner)
        | ExprKind::Attribute(inner, _) => load(inner, own),
        ExprKind::Compare(first, rest) => {
            load(first, own);
            for (_, expr) in rest {
                load(expr, own);
            }
        }
        ExprKind::Slice(parts) => parts.iter().flatten().for_each(|part| load(part, own)),
        ExprKind::Call(inner, arguments)
        | ExprKind::Filter(inner, _, arguments)
        | ExprKind::Test(inner, _, arguments) => {
            load(inner, own);
            load_arguments(arguments, own);
        }
    }
}

fn load_arguments(arguments: &Arguments, own: &mut Scope) {
    let named = arguments.named.iter().map(|(_, value)| value);
    let rest = arguments.rest.iter().chain(&arguments.named_rest);
    for value in arguments.positional.iter().chain(named).chain(rest) {
        load(value, own);
    }
}

/// The bodies within a body that are scopes of their own.
fn bodies(body: &mut Body, around: &Around<'_>) {
    for stmt in body {
        match &mut stmt.kind {
            StmtKind::If(branches, otherwise) => {
                for (_, body) in branches {
                    bodies(body, around);
                }
                bodies(otherwise, around);
            }
            StmtKind::For(each) => {
                let For {
                    target,
                    body,
                    otherwise,
                    ..
                } = &mut **each;
                scope(body, &[target, &Target::Name("loop".into())], around);
                scope(otherwise, &[], around);
            }
            StmtKind::Macro(definition) | StmtKind::CallBlock(definition, _) => {
                in_macro(definition, around);
            }
            StmtKind::SetBlock(.., body)
            | StmtKind::FilterBlock(_, body)
            | StmtKind::Scope(body) => {
                scope(body, &[], around);
            }
            StmtKind::With(values, body) => {
                let targets: Vec<&Target> = values.iter().map(|(target, _)| target).collect();
                scope(body, &targets, around);
            }
            // A block sees the template's variables, and no scope around it.
            StmtKind::Block(body) => scope(body, &[], &Vec::new()),
            _ => {}
        }
    }
}

fn in_macro(definition: &mut Arc<Macro>, around: &Around<'_>) {
    let Some(definition) = Arc::get_mut(definition) else {
        return; // nobody else has it yet
    };
    let special = ["caller", "kwargs", "varargs"].map(|name| Target::Name(name.into()));
    let parameters: Vec<Target> = definition
        .parameters
        .iter()
        .cloned()
        .map(Target::Name)
        .collect();
    let known: Vec<&Target> = parameters.iter().chain(&special).collect();
    scope(&mut definition.body, &known, around);
}
