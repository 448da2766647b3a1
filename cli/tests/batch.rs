//! `lantern batch`: answers are those of the server's endpoints, and a run that was cut off is gone on with.

#[path = "../../tests/tests/support/default_model.rs"]
mod default_model;
mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use default_model::default_model;
use serde_json::{Value, json};
use support::{folder, on_quicker, run, server::Server};

const URL: &str = "/v1/completions";

fn lines(requests: &[(String, &str, Value)]) -> String {
    let line = |(id, url, body): &(String, &str, Value)| {
        let line = json!({"custom_id": id, "method": "POST", "url": url, "body": body});
        format!("{line}\n")
    };
    requests.iter().map(line).collect()
}

/// Prompts with two beginnings, in turns.
fn prompts(count: usize) -> Vec<(String, &'static str, Value)> {
    let of = |number: usize| {
        let begun = [
            "The first of all the stories is",
            "In another place there was",
        ][number % 2];
        let prompt = format!("{}{number}", format!("{begun} long. ").repeat(4));
        let body = json!({"prompt": prompt, "temperature": 0, "max_tokens": 4});
        (format!("request-{number}"), URL, body)
    };
    (0..count).map(of).collect()
}

fn batch(input: &Path, output: &Path) -> Command {
    let mut command = on_quicker(Path::new(env!("CARGO_TARGET_TMPDIR")));
    command.arg("batch").arg(input).arg("-o").arg(output);
    command.args(["--context", "512", "--parallel", "4"]);
    if let Some(model) = default_model() {
        command.arg("--model").arg(model);
    }
    command
}

/// Status and body of each answer.
fn answers(output: &Path) -> BTreeMap<String, (u64, Value)> {
    let text = fs::read_to_string(output).unwrap();
    let answer = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        let id = line["custom_id"].as_str().unwrap().to_owned();
        let response = &line["response"];
        let status = response["status_code"].as_u64().unwrap();
        (id, (status, response["body"].clone()))
    };
    let all: BTreeMap<_, _> = text.lines().map(answer).collect();
    assert_eq!(
        all.len(),
        text.lines().count(),
        "an answer stands twice: {text}"
    );
    all
}

fn file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("in.jsonl");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn gpu_answers_are_those_of_the_server() {
    let Some(model) = default_model() else {
        return;
    };
    let folder = folder("batch");
    let question = json!([{"role": "user", "content": "What is the capital of France?"}]);
    let mut requests = prompts(4);
    let chat = json!({"messages": question, "temperature": 0, "max_tokens": 10});
    let with = |name: &str, value: Value| {
        let mut body = chat.clone();
        body[name] = value;
        body
    };
    requests.extend([
        ("chat".to_owned(), "/v1/chat/completions", chat.clone()),
        ("message".to_owned(), "/v1/messages", chat.clone()),
        (
            "embedding".to_owned(),
            "/v1/embeddings",
            json!({"input": "The sky"}),
        ),
        (
            "stream".to_owned(),
            "/v1/chat/completions",
            with("stream", true.into()),
        ),
        (
            "wrong".to_owned(),
            "/v1/chat/completions",
            with("colour", "red".into()),
        ),
    ]);
    let (input, output) = (file(&folder, &lines(&requests)), folder.join("out.jsonl"));
    let (code, _, told) = run(&mut batch(&input, &output));
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("7 requests answered, 2 refused"), "{told}");
    let answers = answers(&output);
    let server = Server::start(&model, &["--context", "512"]);
    for (id, url, body) in &requests {
        let (status, answer) = &answers[id];
        if id == "stream" {
            assert_eq!(*status, 400);
            continue;
        }
        let (expected, told) = server.post(url, body);
        assert_eq!(*status, u64::from(expected), "{id}: {answer}");
        for part in ["choices", "content", "error"] {
            assert_eq!(answer[part], told[part], "{id}");
        }
        assert_eq!(answer["data"][0]["embedding"].is_array(), id == "embedding");
    }
    let (code, _, told) = run(&mut batch(&input, &output));
    assert!(
        code == 0 && told.contains("9 requests answered already"),
        "{told}"
    );
}

#[cfg(unix)]
#[test]
fn gpu_a_batch_that_was_cut_off_goes_on() {
    if default_model().is_none() {
        return;
    }
    let folder = folder("batch-cut");
    let mut requests = prompts(14);
    for (_, _, body) in &mut requests {
        body["max_tokens"] = 8.into();
    }
    let (input, output) = (file(&folder, &lines(&requests)), folder.join("out.jsonl"));
    let done = || {
        fs::read_to_string(&output)
            .unwrap_or_default()
            .lines()
            .count()
    };
    let wait_for = |count: usize| {
        let start = Instant::now();
        while done() < count {
            assert!(
                start.elapsed() < Duration::from_mins(2),
                "no {count} answers"
            );
            sleep(Duration::from_millis(20));
        }
    };
    // Killed, with half a line at the end.
    let mut child = batch(&input, &output)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(2);
    child.kill().unwrap();
    child.wait().unwrap();
    let before = done();
    let text = fs::read_to_string(&output).unwrap();
    fs::write(
        &output,
        format!("{text}{{\"id\": \"batch_req_9\", \"custom"),
    )
    .unwrap();
    // Asked to stop.
    let mut child = batch(&input, &output)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(before + 2);
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.unwrap().success());
    let mut told = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut told).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{told}");
    assert!(
        told.contains("goes on") && told.contains("not whole"),
        "{told}"
    );
    assert!(
        answers(&output).len() < 14,
        "it was to be stopped before its end"
    );
    // And to its end.
    let (code, _, told) = run(&mut batch(&input, &output));
    assert_eq!(code, 0, "{told}");
    let answers = answers(&output);
    assert!(answers.len() == 14 && answers.values().all(|(status, _)| *status == 200));
}

#[test]
fn files_that_are_no_batch_are_refused() {
    let folder = folder("batch-wrong");
    let output = folder.join("out.jsonl");
    let sound = lines(&prompts(2));
    for (text, words) in [
        (String::new(), "no requests"),
        ("{}".to_owned(), "line 1"),
        (
            format!("{sound}\n{sound}"),
            "line 4: custom_id \"request-0\" was there before",
        ),
        (format!("{sound}not JSON"), "line 3"),
        (sound.replace(URL, "/v1/files"), "/v1/files"),
    ] {
        let input = file(&folder, &text);
        let (code, _, told) = run(&mut batch(&input, &output));
        assert!(code == 1 && told.contains(words), "{told}");
    }
    let input = file(&folder, &sound);
    for (text, words) in [
        ("text\n", "no answer of a batch"),
        ("{\"custom_id\": \"other\"}\n", "does not ask"),
    ] {
        fs::write(&output, text).unwrap();
        let (code, _, told) = run(&mut batch(&input, &output));
        assert!(code == 1 && told.contains(words), "{told}");
        assert_eq!(
            fs::read_to_string(&output).unwrap(),
            text,
            "it stays as it was"
        );
    }
}
