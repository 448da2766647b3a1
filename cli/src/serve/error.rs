//! Errors in OpenAI's form, with the status that its clients act on.

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

    /// The body of the answer.
    pub fn body(&self) -> Value {
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
}

impl From<Error> for ApiError {
    fn from(error: Error) -> ApiError {
        let (status, code) = match &error {
            Error::ContextFull { .. } => (StatusCode::BAD_REQUEST, Some("context_length_exceeded")),
            Error::BadInput(_) | Error::Template(_) | Error::Unsupported { .. } => {
                (StatusCode::BAD_REQUEST, None)
            }
            Error::Busy { .. } => (StatusCode::TOO_MANY_REQUESTS, Some("queue_full")),
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

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Answers a path that there is not.
pub async fn not_found(method: Method, uri: Uri) -> ApiError {
    ApiError {
        status: StatusCode::NOT_FOUND,
        message: format!("there is no {method} {}", uri.path()),
        param: None,
        code: Some("not_found"),
    }
}
