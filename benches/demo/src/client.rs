//! Requests that are shown with their answers.

use http::{Method, StatusCode};
use palisade_demo::http::Client as Connection;
use serde_json::Value;

use crate::narrate;
use crate::server::Server;

/// A connection to the server.
pub(crate) struct Client(Connection);

/// What came back.
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The stable code of a runtime error.
    pub(crate) code: Option<String>,
    /// The body; null when there is none.
    pub(crate) body: Value,
}

impl Client {
    /// Connects.
    pub(crate) async fn connect(server: &Server) -> anyhow::Result<Self> {
        Ok(Self(Connection::connect(server.address()).await?))
    }

    /// Sends a request and shows it with its answer.
    pub(crate) async fn show(
        &mut self,
        method: Method,
        path: &str,
        body: &str,
    ) -> anyhow::Result<Answer> {
        let answer = self.send(method.clone(), path, body).await?;
        let code = answer
            .code
            .as_deref()
            .map(|code| format!(" ({code})"))
            .unwrap_or_default();
        let brief = brief(&answer.body);
        narrate::exchange(
            format!("{method} /v1/{path} {body}").trim_end(),
            format!("{}{code} {brief}", answer.status.as_u16()).trim_end(),
        );
        Ok(answer)
    }

    /// Sends a request.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: &str,
    ) -> anyhow::Result<Answer> {
        let answer = self.0.send(method, path, body).await?;
        Ok(Answer {
            body: answer.json()?,
            status: answer.status,
            code: answer.code,
        })
    }
}

/// The part of an answer that a person wants to see.
fn brief(body: &Value) -> String {
    let part = match (&body["errors"], &body["data"]) {
        (Value::Null, Value::Null) => return String::new(),
        (Value::Null, data) => data.to_string(),
        (errors, _) => errors.to_string(),
    };
    const SHOWN: usize = 150;
    match part.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &part[..end]),
        None => part,
    }
}
