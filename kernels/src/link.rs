//! Joins constants, parts and a kernel into one WGSL text: the whole shader system.
//!
//! WGSL's module-scope declarations are independent of their order, so joining is enough. The bindings are read from
//! the text itself, which is their one source of truth; a test compares them with naga's reflection.

use std::fmt::Write;

use crate::{Shader, unroll};

/// Dialect of WGSL that a text is written in: they differ in one line, and in one argument where lanes come in a struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// naga: subgroup operations need no `enable` line, and it refuses one.
    Native,
    /// Tint and other browser compilers, which want `enable subgroups;`.
    Browser,
}

/// How a binding is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingKind {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    Write,
    /// `var<uniform>`
    Uniform,
}

/// One binding of group 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The variable's name.
    pub name: String,
    /// `@binding(index)`
    pub index: u32,
    /// How it is used.
    pub kind: BindingKind,
}

/// A linked shader.
#[derive(Debug, Clone)]
pub struct Linked {
    /// [`Shader::label`]
    pub label: String,
    /// The whole WGSL text.
    pub text: String,
    /// Its bindings, by index.
    pub bindings: Vec<Binding>,
    /// First line in `text` (from 1) of each piece, and the piece's name: for error messages.
    pub lines: Vec<(usize, String)>,
}

impl Linked {
    /// Where line `line` of the text comes from: the piece, and the line in it.
    pub fn origin(&self, line: usize) -> String {
        match self.lines.iter().rev().find(|(first, _)| *first <= line) {
            Some((first, name)) => format!("{name}:{}", line - first + 1),
            None => format!("line {line}"),
        }
    }
}

/// How a kernel begins whose lanes come in a struct.
const MAIN: &str = "fn main(at: Invocation";

/// Argument beside that struct in naga's dialect: its HLSL has a subgroup's builtins in structs only where one is an argument
/// by itself.
pub const SUBGROUP_ARGUMENT: &str = "@builtin(num_subgroups) subgroups: u32, ";

/// Joins the shader's pieces: `enable` lines, constants, parts, kernel.
pub fn link(shader: &Shader, target: Target) -> Linked {
    let mut text = String::new();
    if shader.needs_f16() {
        text.push_str("enable f16;\n");
    }
    if shader.needs_subgroups() && target == Target::Browser {
        text.push_str("enable subgroups;\n");
    }
    if shader.needs_cooperative() {
        text.push_str("enable wgpu_cooperative_matrix;\n");
    }
    let parts = shader.all_parts();
    let of_parts = parts.iter().flat_map(|part| part.consts);
    let consts = shader.variant.consts.iter().chain(&shader.consts);
    for (name, value) in consts.chain(of_parts) {
        writeln!(text, "const {name} = {value}u;").expect("writing to a string");
    }
    let mut lines = vec![(1, "constants".to_string())];
    let parts = parts.into_iter().map(|part| (part.name, part.source));
    for (name, source) in parts.chain([(shader.kernel.name, shader.kernel.source)]) {
        lines.push((text.lines().count() + 1, format!("{name}.wgsl")));
        if source.contains(unroll::MARK) {
            text.push_str(&unroll::unroll(&text, source));
        } else {
            text.push_str(source);
        }
        text.push('\n');
    }
    if shader.needs_subgroups() && target == Target::Native {
        text = text.replacen(
            MAIN,
            &MAIN.replace('(', &format!("({SUBGROUP_ARGUMENT}")),
            1,
        );
    }
    let bindings = bindings(&text);
    Linked {
        label: shader.label(),
        text,
        bindings,
        lines,
    }
}

/// Reads `@group(0) @binding(N) var… name: type` from each line that has one.
fn bindings(text: &str) -> Vec<Binding> {
    let mut found: Vec<Binding> = text.lines().filter_map(binding).collect();
    found.sort_by_key(|b| b.index);
    found
}

fn binding(line: &str) -> Option<Binding> {
    let rest = line.strip_prefix("@group(0) @binding(")?;
    let (index, rest) = rest.split_once(") var<")?;
    let (space, rest) = rest.split_once("> ")?;
    let kind = match space {
        "storage, read" => BindingKind::Read,
        "storage, read_write" => BindingKind::Write,
        "uniform" => BindingKind::Uniform,
        _ => return None,
    };
    let (name, _) = rest.split_once(':')?;
    Some(Binding {
        name: name.to_string(),
        index: index.parse().ok()?,
        kind,
    })
}
