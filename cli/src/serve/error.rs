//! Errors, with the status that clients act on, in the form of the protocol that was spoken.

use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use lantern_engine::Error;
use serde_json::{Value, json};

/// An error as a client gets it.
#[derive(Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub message: String,
    /// The field that is wrong.
    pub param: Option<String>,
    pub code: Option<&'static str>,
}

impl ApiError {
    /// A request that cannot be answered, and the field that is why.
    pub fn bad(message: impl Into<String>, param: Option<&str>) -> ApiError {
        ApiError {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
            param: param.map(str::to_owned),
            code: None,
        }
    }

    /// An error with this status and code, which is about no field.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError {
            status,
            message: message.into(),
            param: None,
            code: Some(code),
        }
    }

    /// A model that there is not, among those that there are.
    pub fn unknown_model(name: &str, all: &[String]) -> ApiError {
        const SHOWN: usize = 20;
        let known = all[..all.len().min(SHOWN)].join(", ");
        let message = format!("there is no model {name:?}; there are: {known}");
        ApiError {
            param: Some("model".into()),
            ..ApiError::new(StatusCode::NOT_FOUND, "model_not_found", message)
        }
    }

    /// The body of the answer in OpenAI's form.
    pub fn openai(&self) -> Value {
        let kind = match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        json!({"error": {
            "message": self.message, "type": kind, "param": self.param, "code": self.code,
        }})
    }

    /// The body of the answer in Anthropic's form.
    pub fn anthropic(&self) -> Value {
        let kind = match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        json!({"type": "error", "error": {"type": kind, "message": self.message}})
    }

    /// The answer to a request that has this path.
    pub fn respond(&self, path: &str) -> Response {
        let body = if is_anthropic(path) {
            self.anthropic()
        } else {
            self.openai()
        };
        let mut response = (self.status, Json(body)).into_response();
        if [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ]
        .contains(&self.status)
        {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Whether Anthropic's protocol is spoken at a path.
fn is_anthropic(path: &str) -> bool {
    path == "/v1/messages" || path.starts_with("/v1/messages/")
}

impl From<Error> for ApiError {
    fn from(error: Error) -> ApiError {
        let (status, code) = match &error {
            Error::ContextFull { .. } => (StatusCode::BAD_REQUEST, Some("context_length_exceeded")),
            Error::BadInput(_) | Error::Template(_) | Error::Unsupported { .. } => {
                (StatusCode::BAD_REQUEST, None)
            }
            Error::Busy { .. } => (StatusCode::TOO_MANY_REQUESTS, Some("queue_full")),
            Error::CacheFull { .. } => (StatusCode::SERVICE_UNAVAILABLE, Some("cache_full")),
            Error::Aborted => (StatusCode::SERVICE_UNAVAILABLE, Some("shutting_down")),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        ApiError {
            status,
            message: error.to_string(),
            param: None,
            code,
        }
    }
}

/// Answers a path that is asked by another method.
pub async fn not_allowed(method: Method, uri: Uri) -> Response {
    let message = format!("{} is not asked by {method}", uri.path());
    let error = ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    );
    error.respond(uri.path())
}

/// Answers a path that there is not.
pub fn not_found(method: &Method, uri: &Uri) -> Response {
    let message = format!("there is no {method} {}", uri.path());
    let error = ApiError::new(StatusCode::NOT_FOUND, "not_found", message);
    error.respond(uri.path())
}
