//! The API from outside, over a runtime with one plugin that answers in every shape.

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::Request as HttpRequest;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use palisade_contract::{
    Backend, Description, Existence, Host, Json, Plugin, PluginError, PluginErrorKind, PluginType,
    Request, Response, SetupConfig,
};
use palisade_runtime::catalog::{ComponentInspector, Survey, Verified};
use palisade_runtime::driver::builtin::BuiltinDriver;
use palisade_runtime::store::MemoryStore;
use palisade_runtime::{Profile, RegisterError, Runtime, RuntimeKind, Timeouts};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Facts, Server, beneath, router};
use crate::token::RootToken;

const TOKEN: &str = "s.root";

#[tokio::test]
async fn a_missing_and_a_wrong_token_are_denied_alike() {
    let api = Api::start().await;
    for token in [None, Some("s.wrong"), Some("")] {
        let answer = api.send("GET", "/v1/shapes/nil", token, "").await;
        assert_eq!(answer.status, 403);
        assert_eq!(answer.body, json!({"errors": ["permission denied"]}));
        assert_eq!(answer.headers["x-palisade-error-code"], "permission-denied");
    }
}

#[tokio::test]
async fn an_unsupported_operation_has_its_code() {
    let api = Api::start().await;
    for path in ["sys/health", "sys/mounts", "auth/token/lookup-self"] {
        let answer = api.put(path, &json!({})).await;
        assert_eq!(answer.status, 405, "{path}");
        assert_eq!(
            answer.headers["x-palisade-error-code"],
            "unsupported-operation"
        );
    }
}

#[tokio::test]
async fn health_seal_status_and_leader_need_no_token() {
    let api = Api::start().await;
    for path in ["sys/health", "sys/seal-status", "sys/leader"] {
        let answer = api.send("GET", &format!("/v1/{path}"), None, "").await;
        assert_eq!(answer.status, 200, "{path}");
    }
    let status = api.send("GET", "/v1/sys/seal-status", None, "").await.body;
    assert_eq!(status["sealed"], false);
    assert_eq!(status["storage_type"], "inmem");
}

#[tokio::test]
async fn a_token_finds_out_about_itself() {
    let data = Api::start().await.get("auth/token/lookup-self").await.body["data"].clone();
    assert_eq!(data["id"], TOKEN);
    assert_eq!(data["policies"], json!(["root"]));
}

#[tokio::test]
async fn data_is_embedded_as_the_plugin_wrote_it() {
    let api = Api::start().await;
    let answer = api.get("shapes/digits").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .text
            .contains(r#""data":{"n": 123456789012345678901234567890.10}"#),
        "{}",
        answer.text
    );
    assert_eq!(answer.body["warnings"], Value::Null);
    assert_eq!(answer.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn every_verb_reaches_the_plugin_as_its_operation() {
    let api = Api::start().await;
    for (method, path, operation) in [
        ("GET", "echo", "read"),
        ("PUT", "echo", "update"),
        ("POST", "new/echo", "create"),
        ("PATCH", "echo", "patch"),
        ("DELETE", "echo", "delete"),
        ("LIST", "echo", "list"),
        ("SCAN", "echo", "scan"),
        ("GET", "echo?list=true", "list"),
    ] {
        let body = if matches!(method, "PUT" | "POST" | "PATCH") {
            "{}"
        } else {
            ""
        };
        let answer = api
            .send(method, &format!("/v1/shapes/{path}"), Some(TOKEN), body)
            .await;
        assert_eq!(
            answer.body["data"]["operation"], operation,
            "{method} {path}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_plugin_sees_a_stand_in_for_the_token() {
    let answer = Api::start().await.get("shapes/echo").await;
    let seen = answer.body["data"]["token"].as_str().unwrap().to_owned();
    assert!(seen.starts_with("hmac-sha256:") && !seen.contains(TOKEN));
}

#[tokio::test]
async fn only_headers_that_the_mount_lets_through_reach_the_plugin() {
    let api = Api::start().await;
    let body = json!({"type": "shapes", "config": {"passthrough_request_headers": ["X-Mine", "X-Vault-Token"]}});
    assert_eq!(api.put("sys/mounts/open", &body).await.status, 204);
    let echo = |mount| api.get_with(mount, "X-Mine", "yes");
    assert_eq!(
        echo("open/echo").await.body["data"]["headers"],
        json!({"X-Mine": ["yes"]})
    );
    assert_eq!(echo("shapes/echo").await.body["data"]["headers"], json!({}));
}

#[tokio::test]
async fn nothing_is_404_for_a_question_and_204_for_an_order() {
    let api = Api::start().await;
    let read = api.get("shapes/nil").await;
    assert_eq!(
        (read.status, read.body),
        (StatusCode::NOT_FOUND, json!({"errors": []}))
    );
    assert_eq!(
        api.send("LIST", "/v1/shapes/nil", Some(TOKEN), "")
            .await
            .status,
        404
    );
    assert_eq!(
        api.send("LIST", "/v1/shapes/no-keys", Some(TOKEN), "")
            .await
            .status,
        404
    );
    assert_eq!(
        api.send("DELETE", "/v1/shapes/nil", Some(TOKEN), "")
            .await
            .status,
        204
    );
    assert_eq!(api.put("shapes/nil", &json!({})).await.status, 204);
}

#[tokio::test]
async fn what_a_plugin_refuses_has_openbaos_status_its_text_and_the_stable_code() {
    let api = Api::start().await;
    for (path, status) in [
        ("fail/path", 404),
        ("fail/operation", 405),
        ("fail/request", 400),
        ("fail/denied", 403),
        ("fail/unknown", 500),
        ("fail/coded", 418),
    ] {
        let answer = api.get(&format!("shapes/{path}")).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.body, json!({"errors": ["as told"]}), "{path}");
        assert_eq!(answer.headers["x-palisade-error-code"], "plugin");
    }
    let answer = api.get("shapes/error-response").await;
    assert_eq!(
        (answer.status, answer.body),
        (StatusCode::BAD_REQUEST, json!({"errors": ["as told"]}))
    );
}

#[tokio::test]
async fn a_plugin_that_answers_no_json_breaks_the_protocol() {
    let api = Api::start().await;
    for path in ["bad-json", "array"] {
        let answer = api.get(&format!("shapes/{path}")).await;
        assert_eq!(answer.status, 500, "{path}");
        assert_eq!(answer.headers["x-palisade-error-code"], "protocol");
        assert!(!answer.text.contains("hunter2"));
    }
}

#[tokio::test]
async fn a_plugin_may_choose_status_and_body() {
    let answer = Api::start().await.get("shapes/raw").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text.as_str()),
        (404, "{\"data\":{\"a\":1}}")
    );
    assert_eq!(answer.headers["content-type"], "application/json");
}

#[tokio::test]
async fn warnings_reach_the_client() {
    let answer = Api::start().await.get("shapes/warn").await;
    assert_eq!(answer.body["warnings"], json!(["mind the gap"]));
}

#[tokio::test]
async fn a_path_without_mount_has_no_handler() {
    let answer = Api::start().await.get("nowhere/x").await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.body,
        json!({"errors": ["no handler for route \"nowhere/x\". route entry not found."]})
    );
    assert_eq!(answer.headers["x-palisade-error-code"], "mount-not-found");
}

#[tokio::test]
async fn mounts_are_shown_twice_in_a_list_and_can_be_enabled_and_disabled() {
    let api = Api::start().await;
    let list = api.get("sys/mounts").await.body;
    assert_eq!(list["shapes/"], list["data"]["shapes/"]);
    assert_eq!(list["shapes/"]["type"], "shapes");
    assert_eq!(list["shapes/"]["runtime"], "builtin");
    assert_eq!(
        api.get("sys/mounts/shapes").await.body["data"],
        list["shapes/"]
    );
    let taken = api
        .put("sys/mounts/shapes", &json!({"type": "shapes"}))
        .await;
    assert_eq!(
        taken.body,
        json!({"errors": ["path is already in use at shapes/"]})
    );
    assert_eq!(taken.headers["x-palisade-error-code"], "mount-exists");
    assert_eq!(
        api.send("DELETE", "/v1/sys/mounts/shapes", Some(TOKEN), "")
            .await
            .status,
        204
    );
    assert_eq!(
        api.send("DELETE", "/v1/sys/mounts/shapes", Some(TOKEN), "")
            .await
            .status,
        204
    );
    assert_eq!(api.get("sys/mounts/shapes").await.status, 400);
    let unknown = api.put("sys/mounts/x", &json!({"type": "unknown"})).await;
    assert_eq!(unknown.status, 400);
    assert_eq!(unknown.headers["x-palisade-error-code"], "entry-not-found");
}

#[tokio::test]
async fn a_client_finds_the_mount_of_a_path() {
    let api = Api::start().await;
    for path in ["shapes", "shapes/", "shapes/a/b"] {
        let data = api
            .get(&format!("sys/internal/ui/mounts/{path}"))
            .await
            .body["data"]
            .clone();
        assert_eq!(data["path"], "shapes/", "{path}");
    }
    assert_eq!(api.get("sys/internal/ui/mounts/nowhere").await.status, 403);
}

#[tokio::test]
async fn the_catalog_lists_builtins_and_has_openbaos_answers_for_the_rest() {
    let api = Api::start().await;
    let data = api.get("sys/plugins/catalog").await.body["data"].clone();
    assert_eq!(data["secret"], json!(["shapes"]));
    assert_eq!(data["detailed"][0]["runtime"], "builtin");
    let list = api
        .send("LIST", "/v1/sys/plugins/catalog/secret", Some(TOKEN), "")
        .await;
    assert_eq!(list.body["data"]["keys"], json!(["shapes"]));
    let info = api.get("sys/plugins/catalog/secret/shapes").await.body["data"].clone();
    assert_eq!(
        (&info["builtin"], &info["runtime"]),
        (&json!(true), &json!("builtin"))
    );
    let missing = api.get("sys/plugins/catalog/secret/none").await;
    assert_eq!(
        (missing.status, missing.body),
        (StatusCode::NOT_FOUND, json!({"errors": []}))
    );
    assert_eq!(
        api.send("LIST", "/v1/sys/plugins/catalog/nonsense", Some(TOKEN), "")
            .await
            .status,
        405
    );
}

#[tokio::test]
async fn a_registration_that_cannot_be_is_refused_with_its_code() {
    let api = Api::start().await;
    for path in [
        "sys/plugins/catalog/secret/p",
        "sys/plugins/catalog/database/p",
    ] {
        refuses_registrations(&api, path).await;
    }
    assert_eq!(
        api.send(
            "DELETE",
            "/v1/sys/plugins/catalog/secret/p",
            Some(TOKEN),
            ""
        )
        .await
        .status,
        204
    );
}

async fn refuses_registrations(api: &Api, path: &str) {
    for (body, code) in [
        (
            json!({"sha256": "ab", "command": "p", "runtime": "jvm"}),
            "invalid-input",
        ),
        (
            json!({"sha256": "ab".repeat(32), "command": "p"}),
            "plugin-directory",
        ),
        (json!({"sha256": ["ab"], "command": "p"}), "invalid-input"),
        (
            json!({"sha256": "ab".repeat(32), "command": "p", "profile": "huge"}),
            "invalid-input",
        ),
    ] {
        let answer = api.put(path, &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert_eq!(
            answer.headers["x-palisade-error-code"], code,
            "{}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_registration_without_a_name_or_a_command_and_one_with_a_slash_at_the_end_are_refused() {
    let api = Api::start().await;
    let whole = json!({"sha256": "ab".repeat(32), "command": "p"});
    let bare = json!({"sha256": "ab".repeat(32)});
    for (name, body, text) in [
        ("", &whole, "missing plugin name"),
        ("a/", &whole, "empty segment"),
        ("p", &bare, "missing command value"),
    ] {
        let answer = api
            .put(&format!("sys/plugins/catalog/secret/{name}"), body)
            .await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert!(answer.text.contains(text), "{}", answer.text);
        assert_eq!(answer.headers["x-palisade-error-code"], "invalid-input");
    }
}

#[tokio::test]
async fn a_write_to_a_folder_is_refused_before_the_plugin_is_asked() {
    let api = Api::start().await;
    for method in ["PUT", "POST", "PATCH"] {
        let answer = api
            .send(method, "/v1/shapes/echo/", Some(TOKEN), "{}")
            .await;
        assert_eq!(answer.status, 400, "{method}");
        assert_eq!(
            answer.body,
            json!({"errors": ["cannot write to a path ending in '/'"]})
        );
    }
    assert_eq!(api.get("shapes/echo/").await.status, 200);
}

#[tokio::test]
async fn nothing_is_behind_a_mounts_tune_path() {
    let api = Api::start().await;
    for method in ["GET", "PUT", "POST", "DELETE", "LIST"] {
        let answer = api
            .send(method, "/v1/sys/mounts/shapes/tune", Some(TOKEN), "")
            .await;
        assert_eq!(answer.status, 404, "{method}: {}", answer.text);
        let text = "no handler for route \"sys/mounts/shapes/tune\". route entry not found.";
        assert_eq!(answer.body, json!({ "errors": [text] }));
    }
}

#[tokio::test]
async fn a_wish_for_a_wrapped_answer_is_refused() {
    let api = Api::start().await;
    let answer = api.get_with("shapes/echo", "X-Vault-Wrap-TTL", "60").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("response wrapping"), "{}", answer.text);
}

#[tokio::test]
async fn a_reload_needs_a_plugin_or_mounts_and_not_both() {
    let api = Api::start().await;
    let path = "sys/plugins/reload/backend";
    for body in [
        json!({}),
        json!({"plugin": "shapes", "mounts": "shapes/"}),
        json!({"mounts": ["nowhere/"]}),
    ] {
        assert!(
            api.put(path, &body).await.status.is_client_error(),
            "{body}"
        );
    }
    for body in [json!({"plugin": "shapes"}), json!({"mounts": "shapes/"})] {
        let answer = api.put(path, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.body["data"]["reload_id"], answer.body["request_id"]);
    }
}

#[tokio::test]
async fn unknown_paths_of_the_server_have_no_handler_and_others_are_not_found() {
    let api = Api::start().await;
    assert_eq!(api.get("sys/raw/x").await.status, 404);
    let outside = api.send("GET", "/ui/", Some(TOKEN), "").await;
    assert_eq!(
        (outside.status, outside.body),
        (StatusCode::NOT_FOUND, json!({"errors": []}))
    );
}

#[test]
fn an_area_ends_where_its_name_does() {
    assert_eq!(beneath("sys/mounts", "sys/mounts"), Some(""));
    assert_eq!(beneath("sys/mounts/a/b/", "sys/mounts"), Some("a/b"));
    assert_eq!(beneath("sys/mountsx", "sys/mounts"), None);
}

struct Api(axum::Router);

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
    body: Value,
}

impl Api {
    async fn start() -> Self {
        let builtin: Arc<BuiltinDriver> = Arc::new(BuiltinDriver::new(&Timeouts::default()));
        let runtime = Runtime::builder()
            .store(Arc::new(MemoryStore::new()))
            .builtin("shapes".parse().unwrap(), Arc::new(Shapes))
            .driver(RuntimeKind::Native, builtin.clone())
            .driver(RuntimeKind::Wasm, builtin)
            .inspector(Arc::new(NoComponents))
            .build()
            .await
            .unwrap();
        let server = Server {
            runtime,
            root: RootToken::of(TOKEN, 0).unwrap(),
            facts: Facts {
                cluster_name: "test".to_owned(),
                cluster_id: "1".to_owned(),
                storage_type: "inmem",
            },
        };
        let api = Self(router(Arc::new(server)));
        let enabled = api
            .put("sys/mounts/shapes", &json!({"type": "shapes"}))
            .await;
        assert_eq!(enabled.status, 204, "{}", enabled.text);
        api
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", &format!("/v1/{path}"), Some(TOKEN), "")
            .await
    }

    async fn get_with(&self, path: &str, header: &str, value: &str) -> Answer {
        let request = HttpRequest::get(format!("/v1/{path}"))
            .header("x-vault-token", TOKEN)
            .header(header, value);
        self.finish(request.body(Body::empty()).unwrap()).await
    }

    async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(
            "PUT",
            &format!("/v1/{path}"),
            Some(TOKEN),
            &body.to_string(),
        )
        .await
    }

    async fn send(&self, method: &str, uri: &str, token: Option<&str>, body: &str) -> Answer {
        let mut request = HttpRequest::builder()
            .method(method)
            .uri(uri)
            .header("content-type", "application/merge-patch+json");
        if let Some(token) = token {
            request = request.header("x-vault-token", token);
        }
        self.finish(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }

    async fn finish(&self, request: HttpRequest) -> Answer {
        let response = self.0.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }
}

struct NoComponents;

#[async_trait]
impl ComponentInspector for NoComponents {
    async fn inspect(&self, _: &Verified, _: Profile) -> Result<Survey, RegisterError> {
        Err(RegisterError::Worker("no components here".to_owned()))
    }
}

/// Answers each path in another shape.
struct Shapes;

#[async_trait]
impl Plugin for Shapes {
    fn describe(&self) -> Description {
        Description::new(PluginType::Secret, "")
    }

    async fn setup(&self, _: SetupConfig, _: &dyn Host) -> Result<Box<dyn Backend>, PluginError> {
        Ok(Box::new(Shapes))
    }
}

#[async_trait]
impl Backend for Shapes {
    async fn handle_request(
        &self,
        request: Request,
        _: &dyn Host,
    ) -> Result<Option<Response>, PluginError> {
        use PluginErrorKind as K;
        let data = |text: &str| Ok(Some(Response::with_data(Json::from_text(text))));
        let fail = |kind| Err(PluginError::new(kind, "as told"));
        match request.path.trim_end_matches('/') {
            "digits" => data(r#"{"n": 123456789012345678901234567890.10}"#),
            "echo" | "new/echo" => Ok(Some(Response::with_data(echo(&request)))),
            "no-keys" => data(r#"{"keys":[]}"#),
            "bad-json" => data(r#"{"password": hunter2"#),
            "array" => data(r#"["hunter2"]"#),
            "raw" => data(
                r#"{"http_status_code":404,"http_content_type":"application/json","http_raw_body":"{\"data\":{\"a\":1}}"}"#,
            ),
            "error-response" => Ok(Some(Response::error("as told"))),
            "warn" => Ok(Some(Response {
                warnings: vec!["mind the gap".to_owned()],
                ..Response::with_data(Json::from_text("{}"))
            })),
            "fail/path" => fail(K::UnsupportedPath),
            "fail/operation" => fail(K::UnsupportedOperation),
            "fail/request" => fail(K::InvalidRequest),
            "fail/denied" => fail(K::PermissionDenied),
            "fail/coded" => fail(K::Coded(418)),
            "fail/unknown" => fail(K::Unknown),
            _ => Ok(None),
        }
    }

    async fn check_existence(
        &self,
        request: Request,
        _: &dyn Host,
    ) -> Result<Existence, PluginError> {
        Ok(match request.path.starts_with("new/") {
            true => Existence::Absent,
            false => Existence::Present,
        })
    }
}

fn echo(request: &Request) -> Json {
    Json::of(&json!({
        "operation": request.operation.as_str(),
        "token": request.client_token,
        "headers": request.headers,
    }))
    .unwrap()
}
