//! `lantern serve` for a test, and requests to it.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Stdio},
};

use serde_json::Value;
use ureq::{Agent, http::Response};

use super::on_quicker;

/// A server that ends with the test.
pub struct Server {
    pub child: Child,
    pub address: String,
    pub agent: Agent,
}

impl Server {
    /// Serves a model.
    pub fn start(model: &Path, flags: &[&str]) -> Server {
        let model = model.to_str().expect("a plain path");
        Server::start_with(&[&[model], flags].concat())
    }

    /// Serves with these arguments.
    pub fn start_with(arguments: &[&str]) -> Server {
        let mut command = on_quicker(Path::new(env!("CARGO_TARGET_TMPDIR")));
        command.args(["serve", "--port", "0"]);
        command.args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut address = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut address).unwrap();
        assert!(address.starts_with("http://127.0.0.1:"), "{address:?}");
        let config = Agent::config_builder().http_status_as_error(false);
        Server {
            child,
            address: address.trim().to_owned(),
            agent: config.build().into(),
        }
    }

    /// Sends a request.
    pub fn send(&self, path: &str, body: &Value) -> Response<ureq::Body> {
        let request = self.agent.post(format!("{}{path}", self.address));
        request.send(body.to_string()).expect("an answer")
    }

    /// Status and body.
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut response = self.send(path, body);
        let text = response.body_mut().read_to_string().unwrap();
        let value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}"));
        (response.status().as_u16(), value)
    }

    /// Status and text.
    pub fn get(&self, path: &str) -> (u16, String) {
        let request = self.agent.get(format!("{}{path}", self.address));
        let mut response = request.call().expect("an answer");
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), text)
    }

    /// Text of a stream.
    fn streamed(&self, path: &str, body: &Value) -> String {
        let mut response = self.send(path, body);
        let kind = response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        let mut text = String::new();
        let mut reader = response.body_mut().as_reader();
        reader.read_to_string(&mut text).unwrap();
        assert!(kind.starts_with("text/event-stream"), "{kind}: {text}");
        assert_eq!(response.status().as_u16(), 200);
        text
    }

    /// Events of a stream, the last of which says that it is done.
    pub fn stream(&self, path: &str, body: &Value) -> Vec<Value> {
        let text = self.streamed(path, body);
        let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let mut events: Vec<&str> = events.collect();
        assert_eq!(events.pop(), Some("[DONE]"), "{text}");
        let parsed = events.into_iter().map(serde_json::from_str);
        parsed.collect::<Result<_, _>>().unwrap()
    }

    /// Names and data of a stream's events.
    pub fn events(&self, path: &str, body: &Value) -> Vec<(String, Value)> {
        let text = self.streamed(path, body);
        let event = |event: &str| {
            let (name, data) = event.strip_prefix("event: ")?.split_once("\ndata: ")?;
            Some((name.to_owned(), serde_json::from_str(data).unwrap()))
        };
        let events = text.trim_end().split("\n\n");
        let events: Option<_> = events.map(event).collect();
        events.unwrap_or_else(|| panic!("{text}"))
    }

    /// Value of a metric.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").1;
        let mut lines = text.lines();
        let value = |line: &'_ str| {
            let rest = line.strip_prefix(name)?.strip_prefix("{model_name=")?;
            Some(rest.rsplit_once("} ")?.1.to_owned())
        };
        let line = lines.find_map(value);
        line.unwrap_or_else(|| panic!("no {name}: {text}"))
            .parse()
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

/// A request with some fields changed, or more.
pub fn with(base: &Value, change: &Value) -> Value {
    let mut body = base.clone();
    let fields = change.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    body
}
