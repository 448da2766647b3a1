//! Methods of Python's `str`.

use std::sync::Arc;

use super::{
    arguments::{Args, int, int_or, text},
    failure::{Result, fail},
    lexer::is_space,
    renderer::Renderer,
    str_format, unicode,
    value::{Key, Value},
};

/// Lines are padded to no more.
const WIDTH_MAX: i128 = 1 << 20;

/// Calls `this.name(…)`.
pub(super) fn call(
    renderer: &mut Renderer<'_>,
    this: &Arc<str>,
    name: &'static str,
    args: Args,
) -> Result<Value> {
    renderer.pay(this.len())?;
    match name {
        "center" | "ljust" | "rjust" | "zfill" | "expandtabs" => pads(renderer, this, name, args),
        "count" | "find" | "index" | "rfind" | "rindex" | "startswith" | "endswith" => {
            searches(this, name, args)
        }
        "partition" | "rpartition" | "split" | "rsplit" | "splitlines" => {
            splits(renderer, this, name, args)
        }
        "strip" | "lstrip" | "rstrip" | "removeprefix" | "removesuffix" | "replace" | "join"
        | "translate" => edits(renderer, this, name, args),
        "format" => str_format::format(renderer, this, &args),
        "format_map" => {
            let [map] = args.only(name, 1)?;
            let named = match map {
                Some(Value::Dict(dict)) => dict.entries().to_vec(),
                _ => return fail("format_map takes a dictionary"),
            };
            let name = |key: Value| key.as_str().unwrap_or_default().into();
            let named = named.into_iter().map(|(key, value)| (name(key), value));
            let args = Args {
                positional: Vec::new(),
                named: named.collect(),
            };
            str_format::format(renderer, this, &args)
        }
        "encode" | "maketrans" => fail(format!("str.{name} is not there in Lantern")),
        _ => {
            args.only::<0>(name, 0)?;
            Ok(cases(this, name).map_or_else(|| Value::Bool(is(this, name)), Value::str))
        }
    }
}

/// The text in another case.
fn cases(this: &str, name: &str) -> Option<String> {
    Some(match name {
        "upper" => this.to_uppercase(),
        "lower" => this.to_lowercase(),
        "casefold" => unicode::fold(this),
        "capitalize" => capitalize(this),
        "swapcase" => this
            .chars()
            .map(|char| {
                if char.is_uppercase() {
                    char.to_lowercase().collect::<String>()
                } else {
                    char.to_uppercase().collect()
                }
            })
            .collect(),
        "title" => {
            let mut inside = false;
            let title = |char: char| {
                let cased = is_cased(char);
                let text = if inside {
                    char.to_lowercase().collect()
                } else {
                    unicode::title(char)
                };
                inside = cased;
                text
            };
            this.chars().map(title).collect()
        }
        _ => return None,
    })
}

/// The first character in title case, the others in lower case.
pub(super) fn capitalize(this: &str) -> String {
    let Some(first) = this.chars().next() else {
        return String::new();
    };
    let lower = this.to_lowercase(); // of all, for a sigma at the end of a word
    let first_lower: String = first.to_lowercase().collect();
    unicode::title(first) + lower.strip_prefix(&*first_lower).unwrap_or_default()
}

fn is_cased(char: char) -> bool {
    char.is_uppercase() || char.is_lowercase() || unicode::title(char) != char.to_string()
}

/// Questions about all characters.
pub(super) fn is(this: &str, name: &str) -> bool {
    let all = |test: fn(char) -> bool| !this.is_empty() && this.chars().all(test);
    match name {
        "isascii" => this.is_ascii(),
        "isspace" => all(is_space),
        "isalpha" => all(unicode::is_alpha),
        "isalnum" => all(unicode::is_alnum),
        "isdecimal" => all(unicode::is_decimal),
        "isdigit" => all(unicode::is_digit),
        "isnumeric" => all(unicode::is_numeric),
        "isprintable" => this.chars().all(unicode::is_printable),
        "isidentifier" => {
            let mut chars = this.chars();
            let first = chars.next();
            first.is_some_and(|char| char == '_' || unicode::is_alpha(char))
                && chars.all(unicode::is_word)
        }
        "islower" => this.chars().any(char::is_lowercase) && !this.chars().any(char::is_uppercase),
        "isupper" => this.chars().any(char::is_uppercase) && !this.chars().any(char::is_lowercase),
        _ => {
            let (mut inside, mut any) = (false, false);
            for char in this.chars() {
                let (upper, lower) = (char.is_uppercase(), char.is_lowercase());
                if (upper && inside) || (lower && !inside) {
                    return false;
                }
                inside = upper || lower;
                any |= inside;
            }
            any
        }
    }
}

fn pads(renderer: &mut Renderer<'_>, this: &str, name: &'static str, args: Args) -> Result<Value> {
    if name == "expandtabs" {
        let [size] = args.bind(name, ["tabsize"], 0)?;
        return expand_tabs(renderer, this, size.as_ref().map_or(Ok(8), int)?);
    }
    let [width, fill] = args.only(name, 1)?;
    let width = int(&width.unwrap_or(Value::None))?;
    if width > WIDTH_MAX {
        return fail(format!("{name} to more than {WIDTH_MAX} characters"));
    }
    let fill = match fill {
        None => ' ',
        Some(fill) => match text(&fill)?.chars().collect::<Vec<_>>()[..] {
            [char] if name != "zfill" => char,
            _ => return fail("The fill character must be exactly one character long"),
        },
    };
    let width = width.max(0) as usize;
    let missing = width.saturating_sub(this.chars().count());
    renderer.pay(missing)?;
    let filled = |count: usize| fill.to_string().repeat(count);
    Ok(Value::str(match name {
        "ljust" => this.to_owned() + &filled(missing),
        "rjust" => filled(missing) + this,
        "center" => {
            let left = missing / 2 + (missing & width & 1);
            filled(left) + this + &filled(missing - left)
        }
        _ => {
            let digits = this.trim_start_matches(['+', '-']);
            let signed = usize::from(this.starts_with(['+', '-']));
            let (sign, digits) = if signed == 1 {
                this.split_at(1)
            } else {
                ("", digits)
            };
            format!("{sign}{}{digits}", "0".repeat(missing))
        }
    }))
}

fn expand_tabs(renderer: &mut Renderer<'_>, this: &str, size: i128) -> Result<Value> {
    let size = size.clamp(0, 1024) as usize;
    let (mut out, mut column) = (String::new(), 0);
    for char in this.chars() {
        match char {
            '\t' if size == 0 => {}
            '\t' => {
                let spaces = size - column % size;
                renderer.pay(spaces)?;
                out.push_str(&" ".repeat(spaces));
                column += spaces;
            }
            _ => {
                out.push(char);
                column = if matches!(char, '\n' | '\r') {
                    0
                } else {
                    column + 1
                };
            }
        }
    }
    Ok(Value::str(out))
}

/// Methods that take what is looked for, and between which characters.
fn searches(this: &str, name: &'static str, args: Args) -> Result<Value> {
    let [wanted, start, end] = args.only(name, 1)?;
    let wanted = wanted.unwrap_or(Value::None);
    let len = this.chars().count() as i128;
    let place = |bound: i128| {
        if bound < 0 {
            (bound + len).max(0)
        } else {
            bound
        }
    };
    let start = place(int_or(start.as_ref(), 0)?);
    let end = place(int_or(end.as_ref(), len)?).min(len);
    let byte = |place: i128| {
        let mut places = this.char_indices().map(|(at, _)| at);
        places.nth(place as usize).unwrap_or(this.len())
    };
    let part = (start <= end).then(|| &this[byte(start)..byte(end)]);
    if matches!(name, "startswith" | "endswith") {
        let all = match &wanted {
            Value::Tuple(tuple) => &tuple.items[..],
            one => std::slice::from_ref(one),
        };
        let mut found = false;
        for one in all {
            let one = text(one)?;
            found |= part.is_some_and(|part| match name {
                "startswith" => part.starts_with(&*one),
                _ => part.ends_with(&*one),
            });
        }
        return Ok(Value::Bool(found));
    }
    let wanted = text(&wanted)?;
    if name == "count" {
        return Ok(Value::Int(
            part.map_or(0, |part| part.matches(&*wanted).count() as i128),
        ));
    }
    let at = part.and_then(|part| {
        let at = if name.starts_with('r') {
            part.rfind(&*wanted)
        } else {
            part.find(&*wanted)
        };
        at.map(|at| start + part[..at].chars().count() as i128)
    });
    match at {
        Some(at) => Ok(Value::Int(at)),
        None if name.ends_with("index") => fail("substring not found"),
        None => Ok(Value::Int(-1)),
    }
}

/// Lines without their ends, as `str.splitlines` has them.
pub(super) fn lines(this: &str, keep: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = this;
    let ends = |char: char| {
        matches!(
            char,
            '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    while let Some(at) = rest.find(ends) {
        let size = match &rest[at..] {
            end if end.starts_with("\r\n") => 2,
            end => end.chars().next().map_or(1, char::len_utf8),
        };
        lines.push(&rest[..if keep { at + size } else { at }]);
        rest = &rest[at + size..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

fn splits(
    renderer: &mut Renderer<'_>,
    this: &str,
    name: &'static str,
    args: Args,
) -> Result<Value> {
    if name == "splitlines" {
        let [keep] = args.bind(name, ["keepends"], 0)?;
        let keep = keep.as_ref().map_or(Ok(0), int)?;
        return texts(renderer, lines(this, keep != 0));
    }
    if name.ends_with("partition") {
        let [separator] = args.only(name, 1)?;
        let separator = text(&separator.unwrap_or(Value::None))?;
        if separator.is_empty() {
            return fail("empty separator");
        }
        let parts = match name {
            "partition" => this.split_once(&*separator),
            _ => this.rsplit_once(&*separator),
        };
        let parts = match (parts, name) {
            (Some((before, after)), _) => [before, &separator, after],
            (None, "partition") => [this, "", ""],
            (None, _) => ["", "", this],
        };
        return Value::tuple(parts.into_iter().map(Value::str).collect());
    }
    let [separator, most] = args.bind(name, ["sep", "maxsplit"], 0)?;
    let most = usize::try_from(most.as_ref().map_or(Ok(-1), int)?).unwrap_or(usize::MAX);
    let from_right = name == "rsplit";
    let parts = match separator {
        None | Some(Value::None) => words(this, most, from_right),
        Some(separator) => {
            let separator = text(&separator)?;
            if separator.is_empty() {
                return fail("empty separator");
            }
            let most = most.saturating_add(1);
            if from_right {
                let mut parts: Vec<_> = this.rsplitn(most, &*separator).collect();
                parts.reverse();
                parts
            } else {
                this.splitn(most, &*separator).collect()
            }
        }
    };
    texts(renderer, parts)
}

/// Words with any white space between them, the last (from the right: the first) with all that is left.
fn words(this: &str, most: usize, from_right: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = this.trim_matches(is_space);
    while !rest.is_empty() {
        let cut = if from_right {
            rest.rfind(is_space)
        } else {
            rest.find(is_space)
        };
        match cut.filter(|_| parts.len() < most) {
            Some(at) if from_right => {
                let space = rest[at..].chars().next().map_or(1, char::len_utf8);
                parts.push(&rest[at + space..]);
                rest = rest[..at].trim_end_matches(is_space);
            }
            Some(at) => {
                parts.push(&rest[..at]);
                rest = rest[at..].trim_start_matches(is_space);
            }
            None => {
                parts.push(rest);
                break;
            }
        }
    }
    // What is left keeps the white space at the outer end.
    if parts.len() > most
        && let Some(last) = parts.last_mut()
    {
        *last = if from_right {
            let end = last.as_ptr() as usize + last.len() - this.as_ptr() as usize;
            &this[..end]
        } else {
            &this[last.as_ptr() as usize - this.as_ptr() as usize..]
        };
    }
    if from_right {
        parts.reverse();
    }
    parts
}

fn texts(renderer: &mut Renderer<'_>, parts: Vec<&str>) -> Result<Value> {
    renderer.steps(parts.len())?;
    Value::list(parts.into_iter().map(Value::str).collect())
}

/// The text without these characters at its ends; without white space where none are given.
pub(super) fn strip<'a>(this: &'a str, name: &str, chars: Option<&Value>) -> Result<&'a str> {
    let chars = match chars {
        None | Some(Value::None) => None,
        Some(chars) => Some(text(chars)?),
    };
    let goes = |char: char| match &chars {
        None => is_space(char),
        Some(chars) => chars.contains(char),
    };
    Ok(match name {
        "lstrip" => this.trim_start_matches(goes),
        "rstrip" => this.trim_end_matches(goes),
        _ => this.trim_start_matches(goes).trim_end_matches(goes),
    })
}

/// `this.replace(old, new, count)`.
pub(super) fn replace(
    renderer: &mut Renderer<'_>,
    this: &str,
    [old, new]: [&str; 2],
    count: i128,
) -> Result<Value> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let found = if old.is_empty() {
        this.len() + 1
    } else {
        this.matches(old).take(count).count()
    };
    renderer.pay(
        this.len()
            .saturating_add(found.min(count).saturating_mul(new.len())),
    )?;
    Ok(Value::str(this.replacen(old, new, count)))
}

fn edits(renderer: &mut Renderer<'_>, this: &str, name: &'static str, args: Args) -> Result<Value> {
    match name {
        "replace" => {
            let [old, new, count] = args.only(name, 2)?;
            let old = text(&old.unwrap_or(Value::None))?;
            let new = text(&new.unwrap_or(Value::None))?;
            let count = count.as_ref().map_or(Ok(-1), int)?;
            replace(renderer, this, [&old, &new], count)
        }
        "join" => {
            let [items] = args.only(name, 1)?;
            let mut out = String::new();
            for (i, item) in renderer
                .iterate(&items.unwrap_or(Value::None))?
                .iter()
                .enumerate()
            {
                let item = text(item)?;
                renderer.pay(this.len() + item.len())?;
                out.push_str(if i == 0 { "" } else { this });
                out.push_str(&item);
            }
            Ok(Value::str(out))
        }
        "translate" => {
            let [table] = args.only(name, 1)?;
            translate(renderer, this, &table.unwrap_or(Value::None))
        }
        "removeprefix" | "removesuffix" => {
            let [part] = args.only(name, 1)?;
            let part = text(&part.unwrap_or(Value::None))?;
            let cut = match name {
                "removeprefix" => this.strip_prefix(&*part),
                _ => this.strip_suffix(&*part),
            };
            Ok(Value::str(cut.unwrap_or(this)))
        }
        _ => {
            let [chars] = args.only(name, 0)?;
            strip(this, name, chars.as_ref()).map(Value::str)
        }
    }
}

fn translate(renderer: &mut Renderer<'_>, this: &str, table: &Value) -> Result<Value> {
    let Value::Dict(table) = table else {
        return fail("translate takes a dictionary");
    };
    let mut out = String::new();
    for char in this.chars() {
        match table.get(&Key::Number(char as i128)) {
            None => out.push(char),
            Some(Value::None) => {}
            Some(Value::Str(text)) => {
                renderer.pay(text.len())?;
                out.push_str(text);
            }
            Some(code) => match u32::try_from(int(code)?).ok().and_then(char::from_u32) {
                Some(char) => out.push(char),
                None => return fail("character mapping must be in range(0x110000)"),
            },
        }
    }
    Ok(Value::str(out))
}
