//! A template as a tree of statements and expressions.

use std::sync::Arc;

use super::value::Value;

/// An expression, and the line where it begins.
#[derive(Debug)]
pub(super) struct Expr {
    pub line: u32,
    /// Levels of expressions in it.
    pub height: u16,
    pub kind: ExprKind,
}

/// Kinds of expressions.
#[derive(Debug)]
pub(super) enum ExprKind {
    Const(Value),
    Name(Arc<str>),
    /// Text that a block with a filter has written.
    Captured,
    Tuple(Vec<Expr>),
    List(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Conditional(Box<Conditional>),
    Or(Box<[Expr; 2]>),
    And(Box<[Expr; 2]>),
    Not(Box<Expr>),
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    Concat(Vec<Expr>),
    Binary(Operator, Box<[Expr; 2]>),
    Negative(Box<Expr>),
    Positive(Box<Expr>),
    Attribute(Box<Expr>, Arc<str>),
    Item(Box<[Expr; 2]>),
    Slice(Box<[Option<Expr>; 3]>),
    Call(Box<Expr>, Box<Arguments>),
    Filter(Box<Expr>, Arc<str>, Box<Arguments>),
    Test(Box<Expr>, Arc<str>, Box<Arguments>),
}

/// `value if test else other`.
#[derive(Debug)]
pub(super) struct Conditional {
    pub value: Expr,
    pub test: Expr,
    pub other: Option<Expr>,
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
}

/// Comparisons, which may be chained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    NotIn,
}

/// Arguments of a call.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub positional: Vec<Expr>,
    pub named: Vec<(Arc<str>, Expr)>,
    /// `*rest`
    pub rest: Option<Expr>,
    /// `**rest`
    pub named_rest: Option<Expr>,
}

/// A statement, and the line where it begins.
#[derive(Debug)]
pub(super) struct Stmt {
    pub line: u32,
    pub kind: StmtKind,
}

pub(super) type Body = Vec<Stmt>;

/// Kinds of statements.
#[derive(Debug)]
pub(super) enum StmtKind {
    Text(String),
    Output(Vec<Expr>),
    If(Vec<(Expr, Body)>, Body),
    For(Box<For>),
    Set(Target, Expr),
    /// Names that this scope assigns to before it reads them, and none around it knows: what is within this one does not find them in the
    /// variables of the template.
    Hide(Vec<Arc<str>>),
    /// Its body is set, through a filter if there is one.
    SetBlock(Target, Option<Expr>, Body),
    Macro(Arc<Macro>),
    /// A call that is given its body as `caller`.
    CallBlock(Arc<Macro>, Expr),
    FilterBlock(Expr, Body),
    With(Vec<(Target, Expr)>, Body),
    /// A body whose variables are its own.
    Scope(Body),
    /// A body that sees only the variables of the template.
    Block(Body),
    Break,
    Continue,
    /// Tag that takes another template.
    OtherTemplate(&'static str),
}

/// A loop.
#[derive(Debug)]
pub(super) struct For {
    pub target: Target,
    pub iterable: Expr,
    pub test: Option<Expr>,
    pub recursive: bool,
    pub body: Body,
    pub otherwise: Body,
}

/// Target of an assignment.
#[derive(Debug)]
pub(super) enum Target {
    Name(Arc<str>),
    /// An attribute of a namespace.
    Attribute(Arc<str>, Arc<str>),
    Tuple(Vec<Target>),
}

/// A macro.
#[derive(Debug)]
pub(super) struct Macro {
    /// None: what a call block gives.
    pub name: Option<Arc<str>>,
    pub parameters: Vec<Arc<str>>,
    /// Values of the last parameters where a call gives none.
    pub defaults: Vec<Expr>,
    pub body: Body,
    /// Whether the body speaks of `varargs`, `kwargs`, `caller`: only then may a call give them.
    pub takes_varargs: bool,
    pub takes_kwargs: bool,
    pub takes_caller: bool,
}
