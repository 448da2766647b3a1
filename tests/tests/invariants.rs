//! The invariants of ARCHITECTURE.md that can be read off the sources. What breaks one is listed with its place.

use lantern_tests::scan::{
    Long, Source, depends_on, lines_with, long_functions, names_in, sources,
};

/// The lines that a file may have, and a function.
const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;

/// Files that may be longer, each with its reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// Functions that may be longer, as `path name`, each with its reason.
const LONG_FUNCTIONS: [(&str, &str); 0] = [];

/// Files outside of the engine that may name wgpu, each with its reason.
const WGPU_FILES: [(&str, &str); 1] = [(
    "tests/tests/own_device.rs",
    "stands for a program that has a device of its own",
)];

/// Where `unsafe` may stand, each with its reason.
const UNSAFE_FILES: [(&str, &str); 3] = [
    ("engine/src/file/source.rs", "maps a model file into memory"),
    (
        "engine/src/gpu/pipeline.rs",
        "asks for shaders without run-time checks",
    ),
    (
        "engine/src/gpu/cooperative.rs",
        "tells wgpu that an experimental feature is wanted",
    ),
];

/// Words of unsafe code, and of leave for it.
const UNSAFE_WORDS: [&str; 5] = [
    "unsafe_code",
    "unsafe {",
    "unsafe fn",
    "unsafe impl",
    "unsafe extern",
];

/// The files that may look at what they are compiled for: which adapters there are, and whether there are threads.
const TARGET_FILES: [&str; 2] = ["engine/src/gpu/device.rs", "engine/src/file/threads.rs"];

/// The one file that writes to stdout.
const STDOUT_FILE: &str = "cli/src/output.rs";

/// Words that no doc comment starts with: it has to stand alone in an editor's tooltip.
const BAD_STARTS: [&str; 4] = ["Of", "Those", "The same", "What"];

/// This file and the scanner hold the forbidden words as words.
const ABOUT_RULES: [&str; 2] = ["tests/src/scan.rs", "tests/tests/invariants.rs"];

fn in_crates(crates: &[&str]) -> impl Fn(&&Source) -> bool {
    let folders: Vec<String> = crates.iter().map(|name| format!("{name}/")).collect();
    move |source| folders.iter().any(|folder| source.path.starts_with(folder))
}

fn is_rust(source: &Source) -> bool {
    source.is("rs") && !ABOUT_RULES.contains(&source.path.as_str())
}

fn is_manifest(source: &Source) -> bool {
    source.path.ends_with("/Cargo.toml")
}

/// Fails with the rule and every place that breaks it.
fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

/// Manifests that name the package, and lines of Rust that use it.
fn naming(sources: &[Source], crates: &[&str], package: &str) -> Vec<String> {
    let path = format!("{}::", package.replace('-', "_"));
    let within = || sources.iter().filter(in_crates(crates));
    let manifests = within()
        .filter(|source| is_manifest(source))
        .filter(|source| depends_on(&source.text, package));
    let mut found: Vec<String> = manifests.map(|source| source.path.clone()).collect();
    found.extend(lines_with(
        within().filter(|source| is_rust(source)),
        &[&path],
    ));
    found
}

fn too_long(sources: &[Source]) -> Vec<String> {
    let code = || {
        sources
            .iter()
            .filter(|source| source.is("rs") || source.is("wgsl"))
    };
    let excused =
        |list: &[(&str, &str)], name: &str| list.iter().any(|(excused, _)| *excused == name);
    let files = code()
        .filter(|source| !excused(&LONG_FILES, &source.path))
        .filter_map(|source| {
            let lines = source.text.lines().count();
            (lines > FILE_LINES).then(|| format!("{}: {lines} lines", source.path))
        });
    let functions = code().flat_map(|source| {
        let long = long_functions(source, FUNCTION_LINES).into_iter();
        long.filter_map(|Long { place, lines }| {
            let name = place.rsplit(' ').next().unwrap_or_default();
            let is_excused = excused(&LONG_FUNCTIONS, &format!("{} {name}", source.path));
            (!is_excused).then(|| format!("{place}: {lines} lines"))
        })
    });
    files.chain(functions).collect()
}

/// Shaders without a reference of the same name beside them, outside the folder of parts.
fn without_reference(sources: &[Source]) -> Vec<String> {
    let shaders = sources
        .iter()
        .filter(|source| source.is("wgsl") && source.path.starts_with("kernels/src/"));
    shaders
        .map(|shader| shader.path.as_str())
        .filter(|path| !path.starts_with("kernels/src/parts/"))
        .filter(|path| {
            let reference = path.replace(".wgsl", ".rs");
            !sources.iter().any(|source| source.path == reference)
        })
        .map(str::to_owned)
        .collect()
}

/// Hosts of package registries, each with the rest that makes it harmless (the name of cargo's index in Cargo.lock).
/// Joined here, so that this file does not have them.
fn registry_hosts() -> Vec<(String, &'static str)> {
    let hosts = [
        ("crates", "io", "-index"),
        ("pypi", "org", ""),
        ("pythonhosted", "org", ""),
        ("npmjs", "org", ""),
        ("npmjs", "com", ""),
        ("debian", "org", ""),
        ("archive.ubuntu", "com", ""),
        ("static.rust-lang", "org", ""),
    ];
    hosts
        .map(|(name, domain, harmless)| (format!("{name}.{domain}"), harmless))
        .to_vec()
}

fn target_checks(sources: &[Source]) -> Vec<String> {
    let files = sources
        .iter()
        .filter(|source| is_rust(source))
        .filter(|source| !TARGET_FILES.contains(&source.path.as_str()));
    lines_with(files, &["target_arch", "target_family"])
}

fn unsafe_code(sources: &[Source]) -> Vec<String> {
    let listed = |source: &&Source| UNSAFE_FILES.iter().any(|(path, _)| *path == source.path);
    let files = sources
        .iter()
        .filter(|source| is_rust(source))
        .filter(|source| !listed(source));
    lines_with(
        files,
        &[
            "unsafe_code",
            "unsafe {",
            "unsafe fn",
            "unsafe impl",
            "unsafe extern",
        ],
    )
}

fn stdout(sources: &[Source]) -> Vec<String> {
    let files = sources
        .iter()
        .filter(|source| is_rust(source))
        .filter(|source| source.path != STDOUT_FILE);
    let programs = ["/tests/", "/examples/"]; // of their own
    let files = files.filter(|source| !programs.iter().any(|name| source.path.contains(name)));
    lines_with(
        files,
        &["print!(", "println!(", "io::stdout", "stdout()", "Stdout"],
    )
}

/// Text of a line of a doc comment.
fn doc_text(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = line
        .strip_prefix("///")
        .or_else(|| line.strip_prefix("//!"))?;
    (!text.starts_with('/')).then(|| text.trim_start())
}

/// First lines of doc comments that start with one of `BAD_STARTS`. The help of an argument is no doc comment.
fn bad_starts(sources: &[Source]) -> Vec<String> {
    let is_bad = |text: &str| {
        let mut rests = BAD_STARTS
            .iter()
            .filter_map(|start| text.strip_prefix(start));
        rests.any(|rest| !rest.starts_with(char::is_alphanumeric))
    };
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is("rs")) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            let is_first = i == 0 || doc_text(lines[i - 1]).is_none();
            let next = lines[i..].iter().find(|line| doc_text(line).is_none());
            let is_help = next.is_some_and(|line| line.trim_start().starts_with("#[arg("));
            if is_first && doc_text(line).is_some_and(is_bad) && !is_help {
                found.push(format!("{}:{}: {}", source.path, i + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn only_the_engine_names_wgpu() {
    let mut sources = sources();
    sources.retain(|source| !WGPU_FILES.iter().any(|(path, _)| *path == source.path));
    assert_none(
        "wgpu is the engine's alone",
        &naming(&sources, &["kernels", "cli", "wasm", "tests"], "wgpu"),
    );
}

#[test]
fn only_the_room_of_the_gpu_names_wgpu() {
    let files = sources();
    let outside = |source: &&Source| !source.path.starts_with("engine/src/gpu/");
    let engine = files.iter().filter(in_crates(&["engine/src"]));
    let engine = engine.filter(|source| is_rust(source)).filter(outside);
    assert_none(
        "the room gpu/ stands before wgpu",
        &lines_with(engine, &["wgpu::"]),
    );
}

#[test]
fn cli_and_wasm_name_no_kernel() {
    assert_none(
        "the engine stands before the kernels",
        &naming(&sources(), &["cli", "wasm"], "lantern-kernels"),
    );
}

#[test]
fn only_listed_files_ask_what_they_are_compiled_for() {
    assert_none(
        &format!("put this into one of {}", TARGET_FILES.join(", ")),
        &target_checks(&sources()),
    );
}

#[test]
fn unsafe_code_stands_where_it_is_listed() {
    assert_none(
        "do without unsafe, or list the file with its reason",
        &unsafe_code(&sources()),
    );
}

#[test]
fn only_the_output_module_writes_to_stdout() {
    assert_none(&format!("write through {STDOUT_FILE}"), &stdout(&sources()));
}

#[test]
fn every_shader_has_a_twin_or_is_a_part() {
    assert_none(
        "a kernel needs a .rs of its name, a part belongs into parts/",
        &without_reference(&sources()),
    );
}

#[test]
fn no_file_names_a_package_registry_by_its_host() {
    let hosts = registry_hosts();
    let found: Vec<String> = sources()
        .iter()
        .flat_map(|source| names_in(source, &hosts))
        .collect();
    assert_none("use packages by name, through their client", &found);
}

#[test]
fn doc_comments_stand_alone() {
    assert_none("start it with a noun or a verb", &bad_starts(&sources()));
}

#[test]
fn files_and_functions_are_short() {
    assert_none(
        "split it, or list it with its reason",
        &too_long(&sources()),
    );
}

/// The files of `UNSAFE_FILES` count from the day they are there.
#[test]
fn every_exception_is_of_use() {
    let sources = sources();
    let files = LONG_FILES.iter().map(|(path, _)| *path);
    let functions = LONG_FUNCTIONS
        .iter()
        .filter_map(|(place, _)| place.split(' ').next());
    let wgpu = WGPU_FILES.iter().map(|(path, _)| *path);
    let is_there = |path: &str| sources.iter().any(|source| source.path == path);
    let gone = files
        .chain(functions)
        .chain(wgpu)
        .filter(|path| !is_there(path));
    assert_none(
        "an exception for a file that is not there",
        &gone.map(str::to_owned).collect::<Vec<_>>(),
    );
    let unused = sources
        .iter()
        .filter(|source| UNSAFE_FILES.iter().any(|(path, _)| *path == source.path))
        .filter(|source| lines_with([*source], &UNSAFE_WORDS).is_empty());
    let unused: Vec<String> = unused.map(|source| source.path.clone()).collect();
    assert_none("this file may use unsafe, and does not", &unused);
}

/// Each rule, on sources that break it: a rule that cannot fail is none.
#[test]
fn each_rule_can_fail() {
    let one = |path: &str, text: &str| [Source::new(path, text)];
    let hosts = registry_hosts();
    let bad = [
        naming(
            &one("kernels/Cargo.toml", "wgpu = \"30\""),
            &["kernels"],
            "wgpu",
        ),
        naming(
            &one("cli/src/a.rs", "use lantern_kernels::ALL;"),
            &["cli"],
            "lantern-kernels",
        ),
        target_checks(&one("engine/src/a.rs", "#[cfg(target_arch = \"wasm32\")]")),
        unsafe_code(&one("kernels/src/a.rs", "#![allow(unsafe_code)]")),
        stdout(&one("engine/src/a.rs", "println!(\"\")")),
        stdout(&one("cli/src/a.rs", "let out = io::stdout();")),
        without_reference(&one("kernels/src/formats/q9.wgsl", "")),
        too_long(&one("cli/src/a.rs", &"x\n".repeat(FILE_LINES + 1))),
        too_long(&one(
            "kernels/src/a.wgsl",
            &format!("fn main() {{\n{}}}", "  x;\n".repeat(FUNCTION_LINES)),
        )),
        names_in(
            &Source::new("a.md", &format!("see {}", hosts[0].0.to_uppercase())),
            &hosts,
        ),
        bad_starts(&one(
            "cli/src/a.rs",
            "/// The same.\n/// What more.\nfn a() {}",
        )),
        bad_starts(&one("cli/src/a.rs", "//! What it is.\n")),
    ];
    for (i, found) in bad.iter().enumerate() {
        assert_eq!(found.len(), 1, "sample {i}");
    }
}

/// And the exceptions hold.
#[test]
fn each_exception_can_pass() {
    let one = |path: &str, text: &str| [Source::new(path, text)];
    let good = [
        naming(
            &one("engine/Cargo.toml", "wgpu = \"30\""),
            &["kernels"],
            "wgpu",
        ),
        target_checks(&one(TARGET_FILES[0], "#[cfg(target_arch = \"wasm32\")]")),
        unsafe_code(&one(UNSAFE_FILES[0].0, "unsafe { map() }")),
        stdout(&one(STDOUT_FILE, "io::stdout()")),
        stdout(&one(
            "cli/src/a.rs",
            "eprintln!(\"\"); command.stdout(x); // println!()",
        )),
        without_reference(&one("kernels/src/parts/a.wgsl", "")),
        without_reference(&[
            Source::new("kernels/src/a.wgsl", ""),
            Source::new("kernels/src/a.rs", ""),
        ]),
        names_in(
            &Source::new("Cargo.lock", "/crates.io-index"),
            &registry_hosts(),
        ),
        bad_starts(&one(
            "cli/src/a.rs",
            "/// The same as -o json\n#[arg(long)]\njson: bool,",
        )),
        bad_starts(&one(
            "cli/src/a.rs",
            "/// Whatever is there.\n/// What more.\n// What else\nfn a() {}",
        )),
    ];
    for (i, found) in good.iter().enumerate() {
        assert_eq!(found, &Vec::<String>::new(), "sample {i}");
    }
}
