//! `lantern serve` and what is beside answers: its description, the page, limits of requests, slow clients, and its end.

#[path = "../../tests/tests/support/default_model.rs"]
mod default_model;
mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use default_model::default_model;
use serde_json::{Value, json};
use support::{folder, server::Server};

fn start(flags: &[&str]) -> Option<Server> {
    let flags = [&["--context", "512"], flags].concat();
    Some(Server::start(&default_model()?, &flags))
}

/// A connection of one's own.
fn connect(server: &Server) -> TcpStream {
    let address = server.address.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    stream
}

/// Sends a chat, whose answer is read or not.
fn send_chat(server: &Server, tokens: usize) -> TcpStream {
    let body = json!({
        "messages": [{"role": "user", "content": "Tell me a long story."}], "stream": true,
        "max_tokens": tokens, "ignore_eos": true,
    })
    .to_string();
    let mut stream = connect(server);
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    stream
}

#[test]
fn gpu_what_is_described_is_answered() {
    let page = folder("serve-page");
    fs::write(
        page.join("index.html"),
        "<!doctype html><title>A page</title>",
    )
    .unwrap();
    fs::write(page.join("app.js"), "export {};").unwrap();
    fs::write(page.join("LICENSE-MIT"), "A licence").unwrap();
    let flags = ["--page", page.to_str().unwrap(), "--api-key", "secret"];
    let Some(server) = start(&flags) else {
        return;
    };
    let described: Value = serde_json::from_str(&server.get("/openapi.json").1).unwrap();
    let paths = described["paths"].as_object().unwrap();
    assert!(paths.len() > 10, "{described}");
    for (path, operations) in paths {
        let url = format!("{}{}", server.address, path.replace("{name}", "none"));
        let response = if operations["post"].is_object() {
            let request = server.agent.post(url).header("x-api-key", "secret");
            request.send("{}").unwrap()
        } else {
            let request = server.agent.get(url).header("x-api-key", "secret");
            request.call().unwrap()
        };
        // An empty body lacks a field, and there is no model `none`.
        let expected = match path.as_str() {
            "/v1/models/{name}" => 404,
            _ if operations["post"].is_object() => 400,
            _ => 200,
        };
        assert_eq!(response.status().as_u16(), expected, "{path}");
    }
    let chat = &paths["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]
        ["schema"];
    assert_eq!(chat["required"], json!(["messages"]));
    assert!(chat["properties"]["min_p"].is_object(), "{chat}");

    // The page wants no key, all else does; nothing else of the folder's surroundings is read.
    let (status, text) = server.get("/");
    assert!(status == 200 && text.contains("A page"), "{text}");
    assert_eq!(server.get("/app.js").0, 200);
    assert_eq!(server.get("/LICENSE-MIT").0, 200);
    for (path, status) in [
        ("/gone.js", 404),
        ("/../serve-page/app.js", 404),
        ("/v1/models", 401),
    ] {
        assert_eq!(server.get(path).0, status, "{path}");
    }
}

#[test]
fn gpu_requests_have_limits_and_slow_clients_hold_nothing_up() {
    let Some(server) = start(&["--parallel", "1"]) else {
        return;
    };
    // Where `cargo web` has built the page, it is that.
    let program = Path::new(env!("CARGO_BIN_EXE_lantern"));
    let built = program.with_file_name("../web/page/index.html").is_file();
    let page = if built { "app.js" } else { "/openapi.json" };
    let (status, text) = server.get("/");
    assert!(status == 200 && text.contains(page), "{text}");
    assert_eq!(server.get("/v1/nothing").0, 404);
    assert_eq!(server.get("/v1/chat/completions").0, 405, "it takes a POST");
    let (status, refused) = server.post("/v1/messages/nothing", &json!({}));
    assert_eq!((status, &refused["type"]), (404, &json!("error")));

    let mut stream = connect(&server);
    let long = "x".repeat(300 << 10);
    let _ = write!(
        stream,
        "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: {long}\r\n\r\n"
    );
    let mut answer = [0; 12];
    if stream.read_exact(&mut answer).is_ok() {
        assert_eq!(&answer, b"HTTP/1.1 431");
    }
    let mut stream = connect(&server);
    let length = 33 << 20;
    let head = "POST /tokenize HTTP/1.1\r\nHost: localhost\r\n";
    write!(stream, "{head}Content-Length: {length}\r\n\r\n").unwrap();
    let block = vec![b' '; 1 << 20];
    let _ = (0..33).try_for_each(|_| stream.write_all(&block)); // it may be refused before its end
    let mut answer = [0; 12];
    if stream.read_exact(&mut answer).is_ok() {
        assert_eq!(&answer, b"HTTP/1.1 413");
    }
    assert_eq!(server.get("/health").0, 200);

    // One sequence: the second answer begins once the first, which nobody reads, is over.
    let unread = send_chat(&server, 60);
    let body = json!({"prompt": "One, two,", "max_tokens": 2});
    assert_eq!(server.post("/v1/completions", &body).0, 200);
    // One that goes away ends at once, long before its last token.
    drop(unread);
    let left = send_chat(&server, 400);
    sleep(Duration::from_millis(500));
    drop(left);
    let start = Instant::now();
    while server.metric("lantern_requests_running") > 0.0 {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "it goes on for nobody"
        );
        sleep(Duration::from_millis(50));
    }
}

#[cfg(unix)]
#[test]
fn gpu_asked_to_end_it_finishes_its_answers() {
    let Some(mut server) = start(&[]) else {
        return;
    };
    let mut reader = BufReader::new(send_chat(&server, 40));
    let mut line = String::new();
    while !line.contains("content") {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0);
    }
    let pid = server.child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status();
    assert!(sent.unwrap().success());
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("[DONE]"), "{rest}");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(TcpStream::connect(server.address.strip_prefix("http://").unwrap()).is_err());
}
