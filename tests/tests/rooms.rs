//! The rooms of the engine: names are taken from rooms below, and no files take names from each other in a circle.

use std::collections::BTreeSet;

use lantern_tests::{
    imports::{Arrow, arrows, circles, room},
    scan::{Source, sources},
};

/// Rooms from the lowest up.
const ROOMS: [&str; 11] = [
    "error", "file", "text", "gpu", "graph", "model", "plan", "resident", "session", "generate",
    "bench",
];

fn height(path: &str) -> Option<usize> {
    ROOMS.iter().position(|name| *name == room(path))
}

fn upwards(arrows: &BTreeSet<Arrow>) -> Vec<String> {
    let rises = arrows.iter().filter(|(from, to)| {
        let heights = (height(from), height(to));
        matches!(heights, (Some(from), Some(to)) if to > from)
    });
    rises.map(|(from, to)| format!("{from} -> {to}")).collect()
}

#[test]
fn every_file_lies_in_a_room() {
    let own = sources().into_iter().filter(|source| source.is("rs"));
    let own = own.filter_map(|source| source.path.strip_prefix("engine/src/").map(str::to_owned));
    let outside = own.filter(|path| path != "lib.rs");
    let outside: Vec<String> = outside.filter(|path| height(path).is_none()).collect();
    assert!(outside.is_empty(), "no room of the list: {outside:?}");
}

#[test]
fn names_come_from_rooms_below() {
    let rising = upwards(&arrows(&sources()));
    assert!(rising.is_empty(), "upwards:\n  {}", rising.join("\n  "));
}

#[test]
fn no_files_take_names_from_each_other_in_a_circle() {
    let found = circles(&arrows(&sources()));
    let found: Vec<String> = found.iter().map(|circle| circle.join(", ")).collect();
    assert!(found.is_empty(), "circles:\n  {}", found.join("\n  "));
}

#[test]
fn the_rules_can_fail() {
    let file = |path: &str, text: &str| Source::new(&format!("engine/src/{path}"), text);
    let rising = arrows(&[
        file("gpu/mod.rs", "pub mod a;"),
        file(
            "gpu/a.rs",
            "use crate::{Error, model::config::{Config, self}};",
        ),
        file("model/config.rs", "pub struct Config;"),
    ]);
    assert_eq!(upwards(&rising), ["gpu/a.rs -> model/config.rs"]);
    let round = arrows(&[
        file("plan/mod.rs", "mod a;\nmod b;\npub use b::B;"),
        file("plan/a.rs", "use super::B;\npub struct A;"),
        file("plan/b.rs", "use super::{\n    c::C,\n};\npub struct B;"),
        file(
            "plan/c.rs",
            "use crate::plan::a::A;\n#[cfg(test)]\nmod tests { use super::d::D; }",
        ),
        file("plan/d.rs", "use super::c::C;"),
    ]);
    let all = ["plan/a.rs", "plan/b.rs", "plan/c.rs"];
    assert_eq!(circles(&round), [all.map(str::to_owned).to_vec()]);
}
