//! Errors as JavaScript has them: an `Error` with a `code`.

use lantern_engine::Error;
use wasm_bindgen::JsValue;

/// Result of a call; JavaScript's promise rejects with the error.
pub type Result<T> = std::result::Result<T, Thrown>;

/// An error on its way to JavaScript.
pub struct Thrown(JsValue);

impl Thrown {
    fn new(code: &str, message: &str) -> Thrown {
        let error = js_sys::Error::new(message);
        // Setting a property of an object that was just made does not fail.
        let _ = js_sys::Reflect::set(&error, &"code".into(), &code.into());
        Thrown(error.into())
    }
}

impl From<Error> for Thrown {
    fn from(error: Error) -> Thrown {
        Thrown::new(error.code(), &error.to_string())
    }
}

/// JSON that does not read is a mistake of the package's own TypeScript, or a message that is no message.
impl From<serde_json::Error> for Thrown {
    fn from(error: serde_json::Error) -> Thrown {
        Thrown::new("bad-input", &error.to_string())
    }
}

impl From<Thrown> for JsValue {
    fn from(thrown: Thrown) -> JsValue {
        thrown.0
    }
}

/// An error that JavaScript threw at us, for the engine to hand on.
pub fn caught(error: &JsValue) -> Error {
    let field = |name: &str| {
        let value = js_sys::Reflect::get(error, &name.into()).ok();
        value.and_then(|value| value.as_string())
    };
    Error::Remote {
        code: field("code").unwrap_or_else(|| "internal".to_owned()),
        message: field("message").unwrap_or_else(|| format!("{error:?}")),
    }
}
