//! Loops with constant ends, written out: compilers that unroll none (`SwiftShader`'s, by its own) address every element of
//! a private array at an index that they do not know, lane by lane; attention there took six times as long. Elements of
//! arrays whose indices are constant then get variables of their own.
//!
//! Only of kernels that ask for it with [`MARK`], and only loops of the form `for (var i = 0u; i < END; i++) {`.

use std::{collections::HashMap, fmt::Write};

/// The comment of a kernel that asks for it.
pub const MARK: &str = "// Loops with constant ends are unrolled.";

/// Bytes of text that a loop may become; a longer one stays a loop, and those inside it are written out.
const LIMIT: usize = 16 << 10;

/// `source` with its loops written out. Lines keep their numbers. Constants are those of `before`, the text that it follows,
/// and its own.
pub fn unroll(before: &str, source: &str) -> String {
    let constants = Constants::of(before, source);
    let mut text = source.to_string();
    let mut end = text.len();
    // From the last on: what lies inside a loop comes before it.
    while let Some(at) = text[..end].rfind("for (var ") {
        end = at;
        if let Some((length, copies)) = written_out(&text[at..], &constants) {
            text.replace_range(at..at + length, &copies);
        }
    }
    named(&text, &constants)
}

/// `text` with a variable of its own for each element of arrays that are declared as `var name = array<T, N>();` and that
/// have constant indices everywhere. Compilers keep those in registers that leave an array in memory, and matrices of
/// subgroups have no arrays at all.
fn named(text: &str, constants: &Constants) -> String {
    let mut out = text.to_string();
    let mut from = 0;
    while let Some(at) = out[from..].find("var ").map(|at| from + at) {
        from = at + 4;
        let Some((length, name, of, count)) = array_declared(&out[at..], constants) else {
            continue;
        };
        let (name, of) = (name.to_owned(), of.to_owned());
        let declared: Vec<String> = (0..count)
            .map(|k| format!("var {name}_{k} = {of}();"))
            .collect();
        let (before, rest) = (&out[..at], &out[at + length..]);
        // To the end of the function: the next line that begins with a brace.
        let end = rest.find("\n}").unwrap_or(rest.len());
        let Some(used) = elements_named(&rest[..end], &name, count, constants) else {
            continue;
        };
        out = [before, &declared.join(" "), &used, &rest[end..]].concat();
    }
    out
}

/// Length of the declaration that `text` begins with, its name, the type of an element, and how many there are.
fn array_declared<'t>(
    text: &'t str,
    constants: &Constants,
) -> Option<(usize, &'t str, &'t str, u32)> {
    let (name, rest) = text.strip_prefix("var ")?.split_once(" = array<")?;
    let (inner, _) = rest.split_once(">();")?;
    let (of, count) = inner.rsplit_once(", ")?;
    let length = "var ".len() + name.len() + " = array<".len() + inner.len() + ">();".len();
    let plain = !of.contains(['<', '(']) && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let count = constants.value(count)?;
    plain.then_some((length, name, of, count))
}

/// `text` with `name_k` for each `name[k]`; none where an index is not constant, or the array is used as a whole.
fn elements_named(text: &str, name: &str, count: u32, constants: &Constants) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let last = before.chars().next_back().or(out.chars().next_back());
        out.push_str(before);
        if last.is_some_and(|c| word(c) || c == '.') || after.starts_with(word) {
            out.push_str(name);
            rest = after;
            continue;
        }
        let inner = after.strip_prefix('[')?;
        let close = inner
            .find(['[', ']'])
            .filter(|&at| inner[at..].starts_with(']'))?;
        let index = constants
            .value(&inner[..close])
            .filter(|&index| index < count)?;
        write!(out, "{name}_{index}").expect("writing to a string");
        rest = &inner[close + 1..];
    }
    Some(out + rest)
}

/// The length of the loop that `text` begins with, and what it becomes.
fn written_out(text: &str, constants: &Constants) -> Option<(usize, String)> {
    let (name, rest) = text.strip_prefix("for (var ")?.split_once(" = 0u; ")?;
    let (bound, rest) = rest
        .strip_prefix(name)?
        .strip_prefix(" < ")?
        .split_once("; ")?;
    let body = rest.strip_prefix(name)?.strip_prefix("++) {")?;
    let turns = constants.value(bound)?;
    let mut depth = 1;
    let close = body.find(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        depth == 0
    })?;
    let body = &body[..close];
    if body.len() * turns as usize > LIMIT {
        return None;
    }
    // The first copy keeps the lines, so that a compiler's message names the right one.
    let line: String = body
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default().trim())
        .collect::<Vec<_>>()
        .join(" ");
    let copy = |turn| {
        let body = if turn == 0 { body } else { &line };
        format!("{{{}}}", with(body, name, &format!("{turn}u")))
    };
    let length = text.len() - rest.len() + name.len() + "++) {".len() + close + 1;
    Some((length, (0..turns).map(copy).collect()))
}

/// `text` with `value` in place of the variable `name`.
fn with(text: &str, name: &str, value: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let part_of = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        let last = before.chars().next_back().or(out.chars().next_back());
        let other = part_of(last) || last == Some('.') || part_of(after.chars().next());
        out.push_str(before);
        out.push_str(if other { name } else { value });
        rest = after;
    }
    out + rest
}

/// `const NAME = expression;` by name.
struct Constants<'a>(HashMap<&'a str, &'a str>);

impl<'a> Constants<'a> {
    fn of(before: &'a str, source: &'a str) -> Constants<'a> {
        let constant = |line: &'a str| {
            let (name, rest) = line.strip_prefix("const ")?.split_once(" = ")?;
            Some((name, rest.split_once(';')?.0))
        };
        Constants(
            before
                .lines()
                .chain(source.lines())
                .filter_map(constant)
                .collect(),
        )
    }

    /// Evaluates an expression of whole numbers, constants, `+ - * /`, parentheses and `min(a, b)`.
    fn value(&self, expression: &str) -> Option<u32> {
        let mut rest = expression;
        let value = self.sum(&mut rest)?;
        rest.trim().is_empty().then_some(value)
    }

    fn sum(&self, rest: &mut &str) -> Option<u32> {
        self.chain(rest, &["+", "-"], Self::product)
    }

    fn product(&self, rest: &mut &str) -> Option<u32> {
        self.chain(rest, &["*", "/"], Self::one)
    }

    /// Value of operands that `next` reads, as often as one of `signs` follows; none where it does not read or overflows.
    fn chain(
        &self,
        rest: &mut &str,
        signs: &[&str],
        next: fn(&Self, &mut &str) -> Option<u32>,
    ) -> Option<u32> {
        let mut value = next(self, rest)?;
        while let Some(sign) = eaten(rest, signs) {
            let other = next(self, rest)?;
            value = match sign {
                "+" => value.checked_add(other),
                "-" => value.checked_sub(other),
                "*" => value.checked_mul(other),
                _ => value.checked_div(other),
            }?;
        }
        Some(value)
    }

    fn one(&self, rest: &mut &str) -> Option<u32> {
        match eaten(rest, &["(", "min("]) {
            Some("(") => {
                let value = self.sum(rest)?;
                eaten(rest, &[")"])?;
                Some(value)
            }
            Some(_) => {
                let first = self.sum(rest)?;
                eaten(rest, &[","])?;
                let second = self.sum(rest)?;
                eaten(rest, &[")"])?;
                Some(first.min(second))
            }
            None => {
                let all = *rest;
                let end = all
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(all.len());
                *rest = &all[end..];
                match self.0.get(&all[..end]) {
                    Some(expression) => self.value(expression),
                    None => all[..end].trim_end_matches('u').parse().ok(),
                }
            }
        }
    }
}

/// Which of `tokens` comes next; it is taken away.
fn eaten<'t>(rest: &mut &str, tokens: &[&'t str]) -> Option<&'t str> {
    *rest = rest.trim_start();
    let token = *tokens.iter().find(|token| rest.starts_with(**token))?;
    *rest = rest[token.len()..].trim_start();
    Some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_written_out_and_lines_stay() {
        let source = "const TWO = min(N / 2u, 3u - 1u) * 1u;\n\
            for (var i = 0u; i < TWO; i++) { // twice\n    a[i] += v.i + ii;\n    \
            for (var j = 0u; j < 2u; j++) { b[i][j] = i; }\n}\n\
            for (var k = 0u; k < params.n; k++) { c[k] = 0; }\n";
        let text = unroll("const N = 8u;\n", source);
        assert_eq!(text.lines().count(), source.lines().count());
        let code: String = text.lines().skip(1).map(str::trim).collect();
        assert_eq!(
            code,
            "{ // twicea[0u] += v.i + ii;{ b[0u][0u] = 0u; }{b[0u][1u] = 0u;}}\
            { a[1u] += v.i + ii; { b[1u][0u] = 1u; }{b[1u][1u] = 1u;}}\
            for (var k = 0u; k < params.n; k++) { c[k] = 0; }"
        );
    }

    #[test]
    fn elements_of_arrays_have_names_where_indices_are_constant() {
        let source = "fn f() {\n    var sums = array<vec4f, N / 2u>();\n    var other = array<f32, 2>();\n    \
            for (var i = 0u; i < 2u; i++) { sums[i + 2u] += my_sums[i] * a.sums[i] + other[k]; }\n}\n\
            fn g() { return sums[0]; }\n";
        let text = unroll("const N = 8u;\n", source);
        let expected = "fn f() {\n    var sums_0 = vec4f(); var sums_1 = vec4f(); var sums_2 = vec4f(); var sums_3 = vec4f();\n    \
            var other = array<f32, 2>();\n    \
            { sums_2 += my_sums[0u] * a.sums[0u] + other[k]; }{sums_3 += my_sums[1u] * a.sums[1u] + other[k];}\n}\n\
            fn g() { return sums[0]; }\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_long_loop_stays_one() {
        let body = "x += 1u; ".repeat(300);
        let source = format!("for (var i = 0u; i < 8u; i++) {{ {body} }}");
        assert_eq!(unroll("", &source), source);
    }
}
