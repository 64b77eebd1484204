//! One kept-alive HTTP connection, and requests over it.

use anyhow::Context;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::narrate;
use crate::server::{Server, TOKEN};

/// A connection to the server.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
}

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
        let stream = TcpStream::connect(server.address()).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender })
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
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1/{path}"))
            .header("Host", "localhost")
            .header("X-Vault-Token", TOKEN)
            .body(Full::new(Bytes::from(body.to_owned())))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let code = response.headers().get("X-Palisade-Error-Code");
        let code = code.and_then(|code| code.to_str().ok()).map(str::to_owned);
        let bytes = response.into_body().collect().await?.to_bytes();
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).context("the server answers in JSON")?
        };
        Ok(Answer { status, code, body })
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
