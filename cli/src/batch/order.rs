//! The order that fills the GPU best: prompts with the same beginning one after the other, so that it is read once; and what
//! has long prompts first, so that no long one is left alone at the end.

use super::input::Request;

/// Bytes that two prompts have to share to be computed one after the other.
const SHARED: usize = 256;

/// Requests in the order in which they are to be asked.
pub fn order(mut requests: Vec<&Request>) -> Vec<&Request> {
    requests.sort_by(|a, b| a.prefix.cmp(&b.prefix));
    let mut groups: Vec<Vec<&Request>> = Vec::new();
    for request in requests {
        match groups.last_mut() {
            Some(group) if alike(group[group.len() - 1], request) => group.push(request),
            _ => groups.push(vec![request]),
        }
    }
    let longest = |group: &Vec<&Request>| group.iter().map(|one| one.length).max();
    groups.sort_by_key(|group| std::cmp::Reverse(longest(group)));
    groups.into_iter().flatten().collect()
}

fn alike(one: &Request, other: &Request) -> bool {
    let mut pairs = one.prefix.iter().zip(&other.prefix);
    pairs
        .position(|(a, b)| a != b)
        .unwrap_or(one.prefix.len().min(other.prefix.len()))
        >= SHARED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::Route;

    #[test]
    fn prefixes_stay_together_and_long_ones_come_first() {
        let (first, second) = ("a".repeat(300), "b".repeat(300));
        let prompts = [
            "short".to_owned(),
            format!("{second}1"),
            format!("{first}1"),
            format!("{second}, and much more"),
            format!("{first}2"),
            "z".repeat(310),
        ];
        let all: Vec<Request> = prompts.iter().map(|prompt| Request::of(prompt)).collect();
        let ordered = order(all.iter().collect());
        let places: Vec<usize> = ordered
            .iter()
            .map(|one| {
                prompts
                    .iter()
                    .position(|p| p.as_bytes() == one.prefix)
                    .unwrap()
            })
            .collect();
        assert_eq!(places, [3, 1, 5, 2, 4, 0]);
    }

    impl Request {
        fn of(prompt: &str) -> Request {
            Request {
                id: String::new(),
                route: Route::of("/v1/completions").unwrap(),
                prefix: prompt.as_bytes().to_vec(),
                length: prompt.len(),
                offset: 0,
                bytes: 0,
            }
        }
    }
}
