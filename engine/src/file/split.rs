//! Models that are split into several files: their names (`model-00001-of-00003.gguf`), and what each part says of
//! itself (`split.no`, `split.count`, `split.tensors.count`, as llama.cpp's gguf-split writes them).

use std::path::{Path, PathBuf};

use super::Header;
use crate::{Error, Result};

/// Parts at most; a name that claims more is a mistake.
const PARTS_MAX: u32 = 1000;

/// All the parts of a model, by the path of its first; the path alone where it names no part.
///
/// # Errors
/// [`Error::BadInput`] for a part that is not the first.
pub(super) fn paths(path: &Path) -> Result<Vec<PathBuf>> {
    let name = path.file_name().and_then(|name| name.to_str());
    let Some((stem, number, count)) = name.and_then(part_of) else {
        return Ok(vec![path.to_owned()]);
    };
    if number != 1 {
        let first = path.with_file_name(part_name(stem, 1, count));
        return Err(Error::BadInput(format!(
            "{} is part {number} of {count}: name the first, {}",
            path.display(),
            first.display()
        )));
    }
    Ok((1..=count)
        .map(|part| path.with_file_name(part_name(stem, part, count)))
        .collect())
}

/// Names of all parts of a model, by the name, path or address of its first; any other stands for itself alone.
pub fn parts(first: &str) -> Vec<String> {
    let (name, query) = first.split_at(first.find('?').unwrap_or(first.len()));
    match part_of(name) {
        Some((stem, 1, count)) => (1..=count)
            .map(|part| part_name(stem, part, count) + query)
            .collect(),
        _ => vec![first.to_owned()],
    }
}

/// Takes the name of a part apart: its model, its number and how many there are, `("model", 1, 3)` of
/// `model-00001-of-00003.gguf`; none for other names.
pub fn part_of(name: &str) -> Option<(&str, u32, u32)> {
    let (rest, count) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let read = |digits: &str| (digits.len() == 5).then(|| digits.parse().ok()).flatten();
    let (number, count) = (read(number)?, read(count)?);
    ((1..=count).contains(&number) && count <= PARTS_MAX).then_some((stem, number, count))
}

fn part_name(stem: &str, number: u32, count: u32) -> String {
    format!("{stem}-{number:05}-of-{count:05}.gguf")
}

/// Joins the headers of all parts into that of the model.
///
/// # Errors
/// [`Error::BadFile`] where parts are missing, in another order, or of different models.
pub(super) fn join(headers: Vec<Header>) -> Result<Header> {
    let total = headers.len();
    let mut headers = headers.into_iter().enumerate();
    let (_, mut whole) = headers
        .next()
        .ok_or_else(|| Error::BadInput("a model of no files".into()))?;
    let key = |header: &Header, name: &str| header.metadata.u32(name);
    let count = key(&whole, "split.count")?.unwrap_or(1).max(1) as usize;
    if count != total {
        return Err(Error::bad_file(format!(
            "the model is split into {count} files, and {total} were given: keep all parts together, by their own names"
        )));
    }
    check_number(&whole, 0)?;
    for (part, header) in headers {
        check_number(&header, part)?;
        whole.join(header, part)?;
    }
    match key(&whole, "split.tensors.count")? {
        Some(tensors) if count > 1 && tensors as usize != whole.tensors.len() => {
            Err(Error::bad_file(format!(
                "the parts hold {} tensors, and {tensors} are claimed: they are of different models",
                whole.tensors.len()
            )))
        }
        _ => Ok(whole),
    }
}

fn check_number(header: &Header, part: usize) -> Result<()> {
    match header.metadata.u32("split.no")? {
        Some(number) if number as usize != part => Err(Error::bad_file(format!(
            "file {} of the model says that it is part {}: give the parts in their order",
            part + 1,
            u64::from(number) + 1
        ))),
        None if part > 0 => Err(Error::bad_file(format!(
            "file {} says nothing of being a part of a model",
            part + 1
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_by_the_name_of_the_first() {
        let paths = paths(Path::new("a/m-Q4-00001-of-00002.gguf")).unwrap();
        let names = ["a/m-Q4-00001-of-00002.gguf", "a/m-Q4-00002-of-00002.gguf"];
        assert_eq!(paths, names.map(PathBuf::from));
        let addresses = parts("http://a/x-00001-of-00003.gguf?b");
        assert_eq!(addresses.len(), 3);
        assert_eq!(addresses[2], "http://a/x-00003-of-00003.gguf?b");
    }

    #[test]
    fn names_that_are_no_parts_stand_for_themselves() {
        for name in [
            "m.gguf",
            "m-1-of-2.gguf",
            "m-00003-of-00002.gguf",
            "m-00000-of-00002.gguf",
            "m-00001-of-99999.gguf",
            "00001-of-00002.gguf",
        ] {
            assert_eq!(parts(name), [name]);
            assert_eq!(paths(Path::new(name)).unwrap(), [PathBuf::from(name)]);
        }
    }

    #[test]
    fn a_later_part_names_the_first() {
        let error = paths(Path::new("m-00002-of-00002.gguf")).unwrap_err();
        assert!(error.to_string().contains("m-00001-of-00002.gguf"));
    }
}
