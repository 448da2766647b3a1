//! Token ids as a flag's value.

/// A newtype, because the parser takes a plain `Vec` for a flag that is given several times.
#[derive(Debug, Clone)]
pub struct Ids(pub Vec<u32>);

/// `1,2`, `1 2` or `[1, 2]`.
pub fn parse(text: &str) -> Result<Ids, String> {
    let text = text.trim();
    let inner = text
        .strip_prefix('[')
        .map_or(Some(text), |rest| rest.strip_suffix(']'))
        .ok_or("the list has no ]")?;
    let words = inner.split(|c: char| c == ',' || c.is_whitespace());
    let id = |word: &str| {
        word.parse()
            .map_err(|_| format!("{word:?} is no token id; ids are whole numbers from 0"))
    };
    let ids: Vec<u32> = words
        .filter(|word| !word.is_empty())
        .map(id)
        .collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Err("there is no token id in it".to_owned());
    }
    Ok(Ids(ids))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn ids_are_read_in_every_spelling() {
        for text in ["1,2", "1, 2", "1 2", "[1, 2]", " [1,2,] "] {
            assert_eq!(parse(text).unwrap().0, [1, 2], "{text}");
        }
        for text in ["", "[]", "[1", "1,x", "-1", "1.5", "4294967296"] {
            parse(text).unwrap_err();
        }
    }
}
