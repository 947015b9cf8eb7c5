//! A vendor on the loopback interface that speaks OpenAI's API, behaves as it is told, and remembers who asked what.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The key that the vendor takes.
pub const KEY: &str = "sk-good-key-0123456789";

/// How the vendor behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    Ok,
    /// Answers late.
    Slow(Duration),
    /// Answers this status to everything.
    Failing(u16),
    /// Answers 401 and quotes the key and the whole request back.
    Echoing,
    /// Answers this status, quotes the key in every way in the body and in headers, the place of a redirect among them.
    Quoting(u16),
    /// The same in a body that is not UTF-8.
    Garbling,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Seen {
    pub fn authorization(&self) -> Option<&str> {
        self.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok())
    }
}

struct State {
    mode: Mode,
    models: Vec<Value>,
    keys: Vec<String>,
    seen: Vec<Seen>,
}

/// The running vendor; it ends when dropped.
pub struct Vendor {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Vendor {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    /// Starts it where another one was.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            mode: Mode::Ok,
            models: Vec::new(),
            keys: vec![KEY.to_owned()],
            seen: Vec::new(),
        }));
        let task = tokio::spawn(accept(listener, state.clone()));
        Self { address, state, task }
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// As lists of allowed hosts write it.
    pub fn host(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set_mode(&self, mode: Mode) {
        self.state().mode = mode;
    }

    /// Takes this key, too.
    pub fn take_key(&self, key: &str) {
        self.state().keys.push(key.to_owned());
    }

    /// Lists models of which only the ids are told.
    pub fn list(&self, ids: &[&str]) {
        self.list_rows(ids.iter().map(|id| json!({"id": id, "object": "model", "created": 1_721_172_741})).collect());
    }

    pub fn list_rows(&self, models: Vec<Value>) {
        self.state().models = models;
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    pub fn forget(&self) {
        self.state().seen.clear();
    }

    /// Stops it: its port refuses connections.
    pub async fn stop(mut self) -> SocketAddr {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.address
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        let state = state.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| handle(state.clone(), request));
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn handle(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let seen = Seen {
        method: head.method,
        path: head.uri.path().to_owned(),
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let (mode, models, keys) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.seen.push(seen.clone());
        (state.mode.clone(), state.models.clone(), state.keys.clone())
    };
    match mode {
        Mode::Ok => {}
        Mode::Slow(delay) => tokio::time::sleep(delay).await,
        Mode::Failing(status) => return Ok(refuse(status, "it fails as it was told to", "told")),
        Mode::Echoing => {
            let key = seen.authorization().unwrap_or_default();
            let message = format!("Incorrect API key provided: {key}; headers {:?}; body {}", seen.headers, seen.body);
            return Ok(refuse(401, &message, "invalid_api_key"));
        }
        Mode::Quoting(status) => return Ok(quote(status, seen.authorization().unwrap_or_default())),
        Mode::Garbling => {
            let text = seen.authorization().unwrap_or_default();
            let mut answer = Response::new(Full::new(Bytes::from([b"\xff\xfe", text.as_bytes(), b"\xff"].concat())));
            *answer.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(answer);
        }
    }
    let sent = seen.authorization().and_then(|text| text.strip_prefix("Bearer "));
    // Probes carry no key and are told so, like every stranger.
    if !sent.is_some_and(|key| keys.iter().any(|known| known == key)) {
        return Ok(refuse(401, "Incorrect API key provided", "invalid_api_key"));
    }
    Ok(serve(&seen, &models))
}

fn serve(seen: &Seen, models: &[Value]) -> Response<Full<Bytes>> {
    let asked: Value = serde_json::from_str(&seen.body).unwrap_or_default();
    let model = asked.get("model").and_then(Value::as_str).unwrap_or_default();
    let known = |id: &str| models.iter().find(|row| row.get("id").and_then(Value::as_str) == Some(id));
    match (&seen.method, seen.path.strip_prefix("/v1/")) {
        (&Method::GET, Some("models")) => answer(200, &json!({"object": "list", "data": models})),
        (&Method::GET, Some(path)) if path.starts_with("models/") => match known(path.trim_start_matches("models/")) {
            Some(row) => answer(200, row),
            None => refuse(404, "no such model", "model_not_found"),
        },
        (&Method::POST, Some("chat/completions")) if known(model).is_some() => answer(
            200,
            &json!({
                "id": "c", "object": "chat.completion", "created": 1_721_172_741, "model": model,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }),
        ),
        (&Method::POST, Some("embeddings")) if known(model).is_some() => answer(
            200,
            &json!({
                "object": "list", "model": model,
                "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}],
                "usage": {"prompt_tokens": 1, "total_tokens": 1},
            }),
        ),
        (&Method::POST, Some(_)) => refuse(
            404,
            &format!("The model `{model}` does not exist or you do not have access to it."),
            "model_not_found",
        ),
        _ => refuse(404, "Invalid URL", "invalid_url"),
    }
}

fn refuse(status: u16, message: &str, code: &str) -> Response<Full<Bytes>> {
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": code}});
    let mut answer = answer(status, &body);
    if status == 429 {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

fn quote(status: u16, sent: &str) -> Response<Full<Bytes>> {
    let key = sent.trim_start_matches("Bearer ");
    let ends = if key.len() > 24 { format!("{}...{}", &key[..12], &key[key.len() - 12..]) } else { String::new() };
    let encoded = [STANDARD.encode(sent), STANDARD.encode(format!("x{sent}")), STANDARD.encode(key)];
    let message = format!("{ends} {} {} {} {sent}", encoded.join(" "), hex::encode(sent), hex::encode_upper(key));
    let mut answer = refuse(status, &message, key);
    for name in ["www-authenticate", "x-request-id", "location", "set-cookie"] {
        let value = format!("https://127.0.0.1/{key}");
        answer.headers_mut().insert(name, HeaderValue::from_str(&value).unwrap());
    }
    answer
}

fn answer(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
