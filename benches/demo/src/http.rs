//! One kept-alive HTTP connection to a server, and requests over it.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::served::TOKEN;

/// A connection to the server.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
}

/// What came back.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The stable code of a runtime error.
    pub code: Option<String>,
    /// The body; empty when there is none.
    pub bytes: Bytes,
}

impl Answer {
    /// The body; null when there is none.
    ///
    /// # Errors
    ///
    /// When it is no JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        match self.bytes.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_slice(&self.bytes).context("the server answers in JSON"),
        }
    }
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When nobody listens.
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub async fn send(&mut self, method: Method, path: &str, body: &str) -> anyhow::Result<Answer> {
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
        Ok(Answer {
            status,
            code,
            bytes,
        })
    }

    /// Sends a request that has to succeed.
    ///
    /// # Errors
    ///
    /// When it does not, or the connection breaks.
    pub async fn expect(&mut self, method: Method, path: &str, body: &str) -> anyhow::Result<()> {
        let answer = self.send(method, path, body).await?;
        ensure!(
            answer.status.is_success(),
            "{path}: {} {}",
            answer.status,
            String::from_utf8_lossy(&answer.bytes)
        );
        Ok(())
    }

    /// Registers a secrets engine.
    ///
    /// # Errors
    ///
    /// When the server refuses it, or the connection breaks.
    pub async fn register(&mut self, name: &str, entry: &Value) -> anyhow::Result<()> {
        let path = format!("sys/plugins/catalog/secret/{name}");
        self.expect(Method::PUT, &path, &entry.to_string()).await
    }

    /// Enables an engine at its own name.
    ///
    /// # Errors
    ///
    /// When the server refuses it, or the connection breaks.
    pub async fn enable(&mut self, name: &str) -> anyhow::Result<()> {
        let path = format!("sys/mounts/{name}");
        let mount = json!({ "type": name }).to_string();
        self.expect(Method::POST, &path, &mount).await
    }
}
