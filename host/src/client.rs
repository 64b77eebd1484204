//! Talks to a server over HTTP, as `bao` does: address and token from flags and environment, one answer per request.

mod answer;
mod error;

pub(crate) use answer::Answer;
pub(crate) use error::ClientError;
use error::Refusal;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::args::Connection;
use crate::config::duration;
use crate::env;

/// Where a server is when nobody says. OpenBao's default is TLS; a development server, which this program's own default
/// is about, has none.
const ADDRESS: &str = "http://127.0.0.1:8200";

/// How long one request may take. OpenBao's client waits a minute too.
const TIMEOUT: Duration = Duration::from_secs(60);

/// As much as one answer may be: a body of the server's limit and its envelope.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What need not be encoded in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// What need not be encoded in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A way to reach one server.
pub(crate) struct Client {
    address: String,
    token: Option<Zeroizing<String>>,
    namespace: Option<String>,
    timeout: Duration,
    http: Http<HttpConnector, Full<Bytes>>,
}

impl Client {
    /// Takes flags first, then the environment, then defaults. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// Which of them is not what it should be.
    pub(crate) fn new(connection: &Connection) -> Result<Self, ClientError> {
        let address = connection.address.clone().or_else(|| env::either("ADDR"));
        let namespace = connection
            .namespace
            .clone()
            .or_else(|| env::either("NAMESPACE"));
        Ok(Self {
            address: check_address(address.as_deref().unwrap_or(ADDRESS))?,
            token: token(),
            namespace: namespace.filter(|name| !matches!(name.trim_matches('/'), "" | "root")),
            timeout: timeout()?,
            http: Http::builder(TokioExecutor::new()).build(HttpConnector::new()),
        })
    }

    /// Reads; `None` is "nothing there".
    pub(crate) async fn read(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<Answer>, ClientError> {
        self.look(self.call(Method::GET, path, query, None).await?)
    }

    /// Lists, as `bao` does it: a read with `list=true`.
    pub(crate) async fn list(&self, path: &str) -> Result<Option<Answer>, ClientError> {
        self.read(path, &[("list", "true")]).await
    }

    /// Writes; `None` is "done, and nothing to say".
    pub(crate) async fn put(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<Option<Answer>, ClientError> {
        self.done(self.call(Method::PUT, path, &[], Some(body)).await?)
    }

    /// Writes with POST, as some commands do.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<Option<Answer>, ClientError> {
        self.done(self.call(Method::POST, path, &[], Some(body)).await?)
    }

    /// Deletes; `None` is "done, and nothing to say".
    pub(crate) async fn delete(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<Answer>, ClientError> {
        self.done(self.call(Method::DELETE, path, query, None).await?)
    }

    /// Reads one of the few answers without an envelope.
    pub(crate) async fn plain(&self, path: &str) -> Result<Value, ClientError> {
        let reply = self.call(Method::GET, path, &[], None).await?;
        if !reply.status.is_success() {
            return Err(reply.refused(self.namespace.clone()));
        }
        reply.json()
    }

    /// A 404 that says something is an answer: that is how a deleted version shows its metadata.
    fn look(&self, reply: Reply) -> Result<Option<Answer>, ClientError> {
        if reply.status == StatusCode::NOT_FOUND {
            let answer = serde_json::from_slice(&reply.body).ok();
            return Ok(answer.filter(Answer::says_something));
        }
        self.done(reply)
    }

    fn done(&self, reply: Reply) -> Result<Option<Answer>, ClientError> {
        if !reply.status.is_success() {
            return Err(reply.refused(self.namespace.clone()));
        }
        match reply.body.is_empty() {
            true => Ok(None),
            false => reply.json().map(Some),
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Reply, ClientError> {
        let url = self.url(path, query);
        let failed = |cause: String| ClientError::Unreachable {
            method: method.clone(),
            url: url.clone(),
            cause,
        };
        let request = self.request(&method, &url, body).map_err(&failed)?;
        let exchange = async {
            let response = self
                .http
                .request(request)
                .await
                .map_err(|fault| failed(causes(&fault)))?;
            let (status, code) = (response.status(), error::stable_code(response.headers()));
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await
                .map_err(|fault| failed(fault.to_string()))?
                .to_bytes();
            Ok(Reply {
                method: method.clone(),
                url: url.clone(),
                status,
                code,
                body,
            })
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(reply) => reply,
            Err(_) => Err(failed(format!("no answer within {:?}", self.timeout))),
        }
    }

    fn request(
        &self,
        method: &Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header("X-Vault-Request", "true");
        if let Some(token) = &self.token {
            let mut value = HeaderValue::from_str(token)
                .map_err(|_| "the token has characters that no token has".to_owned())?;
            value.set_sensitive(true);
            request = request.header("X-Vault-Token", value);
        }
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        request
            .body(Full::from(body))
            .map_err(|fault| fault.to_string())
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> String {
        let path = utf8_percent_encode(path.trim_start_matches('/'), PATH);
        let query: Vec<_> = query
            .iter()
            .map(|(key, value)| {
                format!(
                    "{}={}",
                    utf8_percent_encode(key, QUERY),
                    utf8_percent_encode(value, QUERY)
                )
            })
            .collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}/v1/{path}{mark}{}", self.address, query.join("&"))
    }
}

/// A reply before anybody knows what it means.
struct Reply {
    method: Method,
    url: String,
    status: StatusCode,
    code: Option<String>,
    body: Bytes,
}

impl Reply {
    fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, ClientError> {
        // The parser's own text could quote a secret.
        serde_json::from_slice(&self.body).map_err(|_| ClientError::Unreachable {
            method: self.method.clone(),
            url: self.url.clone(),
            cause: "the answer is not the JSON that it should be".to_owned(),
        })
    }

    fn refused(self, namespace: Option<String>) -> ClientError {
        ClientError::Refused(Box::new(Refusal {
            method: self.method,
            url: self.url,
            namespace,
            status: self.status,
            code: self.code,
            body: self.body.to_vec(),
        }))
    }
}

fn check_address(text: &str) -> Result<String, ClientError> {
    let bad = |fault: &str| ClientError::Setting(format!("the address {text:?} {fault}"));
    let uri: Uri = text
        .parse()
        .map_err(|_| bad("is not a URL, such as http://127.0.0.1:8200"))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(_)) => Ok(text.trim_end_matches('/').to_owned()),
        (Some("https"), _) => Err(bad(
            "asks for TLS, which this version does not speak; use http://",
        )),
        _ => Err(bad("is not a URL, such as http://127.0.0.1:8200")),
    }
}

/// From the environment, else from where `bao login` leaves it.
fn token() -> Option<Zeroizing<String>> {
    let home = || {
        let path = std::path::Path::new(&std::env::var_os("HOME")?).join(".vault-token");
        let text = Zeroizing::new(std::fs::read_to_string(path).ok()?);
        Some(text.trim().to_owned()).filter(|token| !token.is_empty())
    };
    env::either("TOKEN").or_else(home).map(Zeroizing::new)
}

fn timeout() -> Result<Duration, ClientError> {
    match env::either("CLIENT_TIMEOUT") {
        None => Ok(TIMEOUT),
        Some(text) => duration::parse(&text)
            .map_err(|fault| ClientError::Setting(format!("BAO_CLIENT_TIMEOUT: {fault}"))),
    }
}

/// An error and what it came from, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client::new(&Connection {
            address: Some("http://127.0.0.1:1/".to_owned()),
            namespace: None,
        })
        .unwrap()
    }

    #[test]
    fn paths_and_queries_are_encoded() {
        let url = client().url("/secret/a b/ä?", &[("list", "true"), ("x", "a&b")]);
        assert_eq!(
            url,
            "http://127.0.0.1:1/v1/secret/a%20b/%C3%A4%3F?list=true&x=a%26b"
        );
    }

    #[test]
    fn an_address_that_is_not_http_is_refused_by_name() {
        for bad in [
            "https://127.0.0.1",
            "127.0.0.1:8200",
            "unix:///x",
            "http://",
        ] {
            let error = check_address(bad).unwrap_err().to_string();
            assert!(error.contains(bad), "{error}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named_with_the_cause() {
        let error = client().read("a", &[]).await.err().unwrap().to_string();
        assert!(error.contains("http://127.0.0.1:1/v1/a"), "{error}");
        assert!(error.to_lowercase().contains("refused"), "{error}");
    }
}
