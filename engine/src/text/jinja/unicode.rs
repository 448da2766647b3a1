//! Characters as Python's `str` sorts them.

use std::sync::LazyLock;

use regex_automata::meta::Regex;

/// Characters that are digits and no decimals: superscripts, numbers in circles.
const DIGITS: [(u32, u32); 20] = [
    (0xb2, 0xb3),
    (0xb9, 0xb9),
    (0x1369, 0x1371),
    (0x19da, 0x19da),
    (0x2070, 0x2070),
    (0x2074, 0x2079),
    (0x2080, 0x2089),
    (0x2460, 0x2468),
    (0x2474, 0x247c),
    (0x2488, 0x2490),
    (0x24ea, 0x24ea),
    (0x24f5, 0x24fd),
    (0x24ff, 0x24ff),
    (0x2776, 0x277e),
    (0x2780, 0x2788),
    (0x278a, 0x2792),
    (0x10a40, 0x10a43),
    (0x10e60, 0x10e68),
    (0x11052, 0x1105a),
    (0x1f100, 0x1f10a),
];

/// Ideographs that are numbers.
const NUMBERS: &str = "㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零參拾兩零六陸什𠀁𠁤𠃢𠄡𠤪𠦃𠦌𠦜𠫪𠫽𠬙𢎐𢦘𣬛𦉭廾";

fn matches(pattern: &LazyLock<Regex>, char: char) -> bool {
    pattern.is_match(char.encode_utf8(&mut [0; 4]) as &str)
}

fn class(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a class of characters")
}

pub(super) fn is_alpha(char: char) -> bool {
    static LETTER: LazyLock<Regex> = LazyLock::new(|| class(r"^\p{L}$"));
    char.is_ascii_alphabetic() || (!char.is_ascii() && matches(&LETTER, char))
}

pub(super) fn is_decimal(char: char) -> bool {
    static DECIMAL: LazyLock<Regex> = LazyLock::new(|| class(r"^\p{Nd}$"));
    char.is_ascii_digit() || (!char.is_ascii() && matches(&DECIMAL, char))
}

pub(super) fn is_digit(char: char) -> bool {
    let code = char as u32;
    is_decimal(char)
        || DIGITS
            .iter()
            .any(|&(first, last)| (first..=last).contains(&code))
}

pub(super) fn is_numeric(char: char) -> bool {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| class(r"^\p{N}$"));
    char.is_ascii_digit()
        || (!char.is_ascii() && (matches(&NUMBER, char) || NUMBERS.contains(char)))
}

pub(super) fn is_alnum(char: char) -> bool {
    is_alpha(char) || is_decimal(char) || is_digit(char) || is_numeric(char)
}

/// Whether `\w` matches.
pub(super) fn is_word(char: char) -> bool {
    char == '_' || is_alnum(char)
}

/// Whether `repr` writes the character itself. Rust's `escape_debug` goes by the categories that Python goes by; the letter before keeps
/// marks that combine from being escaped.
pub(super) fn is_printable(char: char) -> bool {
    match char {
        ' '..='~' => true,
        _ if char.is_ascii() => false,
        _ => {
            let pair: String = ['a', char].iter().collect();
            pair.escape_debug().eq(pair.chars())
        }
    }
}

/// The title case of a character: that of its first letter where it stands for several.
pub(super) fn title(char: char) -> String {
    match char {
        'Ǆ'..='ǆ' => return "ǅ".to_owned(),
        'Ǉ'..='ǉ' => return "ǈ".to_owned(),
        'Ǌ'..='ǌ' => return "ǋ".to_owned(),
        'Ǳ'..='ǳ' => return "ǲ".to_owned(),
        'ა'..='ჺ' | 'ჽ'..='ჿ' | 'ᾼ' | 'ῌ' | 'ῼ' => return char.to_string(),
        'ᾀ'..='ᾯ' => {
            let code = char as u32 | 8;
            return char::from_u32(code).unwrap_or(char).to_string();
        }
        'ᾳ' => return "ᾼ".to_owned(),
        'ῃ' => return "ῌ".to_owned(),
        'ῳ' => return "ῼ".to_owned(),
        _ => {}
    }
    let mut upper = char.to_uppercase();
    let first: String = upper.by_ref().take(1).collect();
    let rest: String = upper.collect();
    if rest.is_empty() || !matches!(char, 'ß' | 'և' | 'ﬀ'..='ﬆ' | 'ﬓ'..='ﬗ') {
        return first + &rest;
    }
    first + &rest.to_lowercase()
}

/// The text folded for comparisons without case.
pub(super) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            'ς' => out.push('σ'),
            'ſ' => out.push('s'),
            'ß' | 'ẞ' => out.push_str("ss"),
            'ﬀ'..='ﬆ' | 'ŉ' | 'ǰ' | 'ΐ' | 'ΰ' => {
                out.push_str(&char.to_uppercase().collect::<String>().to_lowercase());
            }
            'µ' => out.push('μ'),
            _ => out.extend(char.to_lowercase()),
        }
    }
    out
}
