//! `GET /openapi.json`: what is answered, from the table that makes the routes.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::routes::{ROUTES, Route};

/// The document.
pub fn openapi() -> Response {
    let mut paths = Map::new();
    for route in ROUTES {
        let method = if route.takes_body() { "post" } else { "get" };
        paths.insert(route.path.into(), json!({method: operation(route)}));
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lantern", "version": env!("CARGO_PKG_VERSION"),
            "description": "Language models on this machine's GPU, by the protocols of OpenAI and Anthropic.",
        },
        "paths": paths,
        "components": {"securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        }},
    });
    Json(document).into_response()
}

fn operation(route: &Route) -> Value {
    let mut answers = json!({
        "200": {"description": "The answer.", "content": content(route)},
        "default": {"description": "An error, in the form of the protocol.", "content": {"application/json": {
            "schema": {"type": "object"},
        }}},
    });
    let mut operation = json!({"summary": route.says});
    if route.path.contains('{') {
        operation["parameters"] = json!([{
            "name": "name", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1},
        }]);
    }
    if let Some(table) = route.table() {
        operation["requestBody"] = json!({
            "required": true, "content": {"application/json": {"schema": table.schema()}},
        });
        answers["400"] = answers["default"].clone();
    }
    if !route.open {
        operation["security"] = json!([{}, {"bearer": []}, {"key": []}]);
    }
    operation["responses"] = answers;
    operation
}

fn content(route: &Route) -> Value {
    let mut content = json!({route.kind: {"schema": {}}});
    if route.streams() {
        content["text/event-stream"] = json!({"schema": {"type": "string"}});
    }
    content
}
