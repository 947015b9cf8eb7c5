//! A small vendor on your own machine: it speaks OpenAI's API, so that Modelward can be tried without an account.
//!
//! ```text
//! cargo run --example mock_vendor
//! ```
//!
//! It serves `GET /v1/models`, `GET /v1/models/{id}`, `POST /v1/chat/completions` and `POST /v1/embeddings`, and wants
//! the key that `--key` names. While it runs it can be made to misbehave:
//!
//! ```text
//! curl -X POST 'http://127.0.0.1:18080/admin/mode?mode=failing'      # ok, slow, failing or rate-limited
//! curl -X POST 'http://127.0.0.1:18080/admin/models?ids=gpt-4o,new'  # what it lists from now on
//! ```
//!
//! Each request is one line on standard output; keys are never shown.
//!
//! With `--kind` it is a simulator of that vendor, as the tests use it, and behaves as `--case` says:
//!
//! ```text
//! cargo run --example mock_vendor -- --kind anthropic --case rate-limited --listen 127.0.0.1:9900 --tls
//! ```

#![expect(clippy::print_stdout, reason = "a program's output")]

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use clap::{Parser, ValueEnum};
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

// What the vendors answer is shared with the adapters' own tests, which name it so.
use modelward::domain;

#[path = "../tests/support/simulator.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
#[expect(clippy::disallowed_methods, clippy::expect_used, reason = "it is a part of the tests")]
mod simulator;

use simulator::{Case, ROWS, Simulator, certificate};

/// Longest body of a request, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// A vendor to try Modelward with: OpenAI's API on this machine.
#[derive(Parser)]
struct Options {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:18080")]
    listen: SocketAddr,
    /// The kind of provider to simulate, as in `anthropic`; none: the small vendor that the README uses.
    #[arg(long)]
    kind: Option<String>,
    /// How the simulated vendor behaves: good, bad-key, rate-limited, hanging and others.
    #[arg(long, default_value = "good")]
    case: Case,
    /// Serve TLS, with a certificate for `localhost` that is printed.
    #[arg(long)]
    tls: bool,
    /// The key that callers must send.
    #[arg(long, default_value = "sk-mock-1234567890abcd")]
    key: String,
    /// How to behave from the start.
    #[arg(long, value_enum, default_value_t = Mode::Ok)]
    mode: Mode,
    /// How long to wait before an answer in the mode `slow`, in milliseconds.
    #[arg(long, default_value_t = 3_000)]
    delay_ms: u64,
    /// The ids of the models to list.
    #[arg(long, value_delimiter = ',', default_value = "gpt-4o-mini,gpt-4o,text-embedding-3-small,mock-large")]
    models: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Answers at once.
    Ok,
    /// Answers late.
    Slow,
    /// Answers 500 to everything.
    Failing,
    /// Answers 429 to everything.
    RateLimited,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}

struct Vendor {
    key: String,
    delay: Duration,
    behaviour: Mutex<Behaviour>,
}

/// What can be changed while it runs.
struct Behaviour {
    mode: Mode,
    models: Vec<String>,
}

type Answer = Response<Full<Bytes>>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind(options.listen).await?;
    if let Some(kind) = &options.kind {
        return simulate(listener, kind, options.case, options.tls).await;
    }
    println!("mock vendor: base URL http://{}/v1, mode {}", listener.local_addr()?, options.mode);
    let vendor = Arc::new(Vendor {
        key: options.key,
        delay: Duration::from_millis(options.delay_ms),
        behaviour: Mutex::new(Behaviour { mode: options.mode, models: options.models }),
    });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (socket, _) = accepted?;
                let vendor = vendor.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request| handle(vendor.clone(), request));
                    // A caller that goes away in the middle is no error of the vendor's.
                    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
            stopped = tokio::signal::ctrl_c() => return Ok(stopped?),
        }
    }
}

/// Simulates a vendor of this kind until Ctrl-C; prints what it should not have been asked.
async fn simulate(listener: TcpListener, kind: &str, case: Case, tls: bool) -> anyhow::Result<()> {
    let row = ROWS.iter().find(|row| row.kind.name().eq_ignore_ascii_case(&kind.replace('-', "_")));
    let kinds = || ROWS.iter().map(|row| row.kind.name().to_ascii_lowercase()).collect::<Vec<_>>().join(", ");
    let row = row.ok_or_else(|| anyhow::anyhow!("--kind must be one of {}", kinds()))?;
    let tls = tls.then(certificate).transpose().map_err(|error| anyhow::anyhow!("no certificate: {error}"))?;
    if let Some((pem, _)) = &tls {
        println!("{pem}");
    }
    let simulator = Simulator::start_on(listener, row, case, None, tls.map(|(_, config)| config))?;
    println!("mock vendor: base URL {}, case {}", simulator.url(), case.name());
    let mut shown = 0;
    let mut look = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            _ = look.tick() => {
                let faults = simulator.faults();
                faults.iter().skip(shown).for_each(|fault| println!("should not be asked: {fault}"));
                shown = faults.len();
            }
            stopped = tokio::signal::ctrl_c() => return Ok(stopped?),
        }
    }
}

async fn handle(vendor: Arc<Vendor>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let answer = if path.starts_with("/admin/") {
        vendor.change(&head.method, path, head.uri.query().unwrap_or_default())
    } else {
        let body = Limited::new(body, MAX_BODY).collect().await.map(http_body_util::Collected::to_bytes);
        vendor.serve(&head.method, path, &head.headers, &body.unwrap_or_default()).await
    };
    println!("{} {path} {}", head.method, answer.status().as_u16());
    Ok(answer)
}

impl Vendor {
    fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how the vendor behaves.
    fn change(&self, method: &Method, path: &str, query: &str) -> Answer {
        let parameters: Vec<(_, _)> = url::form_urlencoded::parse(query.as_bytes()).collect();
        let parameter = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref());
        match (method, path) {
            (&Method::POST, "/admin/mode") => {
                let Some(mode) = parameter("mode").and_then(|mode| Mode::from_str(mode, true).ok()) else {
                    return refuse(
                        StatusCode::BAD_REQUEST,
                        "mode is one of ok, slow, failing, rate-limited",
                        "bad_mode",
                    );
                };
                self.behaviour().mode = mode;
                answer(StatusCode::OK, &json!({"mode": mode.to_string()}))
            }
            (&Method::POST, "/admin/models") => {
                let ids: Vec<_> = parameter("ids").unwrap_or_default().split(',').filter(|id| !id.is_empty()).collect();
                self.behaviour().models = ids.iter().map(ToString::to_string).collect();
                answer(StatusCode::OK, &json!({"models": ids}))
            }
            _ => refuse(StatusCode::NOT_FOUND, "there is POST /admin/mode and POST /admin/models", "not_found"),
        }
    }

    /// Answers as the API does, after what the mode does to every request.
    async fn serve(&self, method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
        let mode = self.behaviour().mode;
        match mode {
            Mode::Ok => {}
            Mode::Slow => tokio::time::sleep(self.delay).await,
            Mode::Failing => {
                let message = "The server had an error while processing your request";
                return refuse(StatusCode::INTERNAL_SERVER_ERROR, message, "server_error");
            }
            Mode::RateLimited => {
                let mut limited = refuse(StatusCode::TOO_MANY_REQUESTS, "Rate limit reached", "rate_limit_exceeded");
                limited.headers_mut().insert(RETRY_AFTER, http::HeaderValue::from_static("1"));
                return limited;
            }
        }
        if let Some(refusal) = self.refusal(headers) {
            return refusal;
        }
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        match (method, path.strip_prefix("/v1/")) {
            (&Method::GET, Some("models")) => {
                let models: Vec<_> = self.behaviour().models.iter().map(|id| describe(id)).collect();
                answer(StatusCode::OK, &json!({"object": "list", "data": models}))
            }
            (&Method::GET, Some(rest)) if rest.starts_with("models/") => {
                self.with_model(rest.trim_start_matches("models/"), describe)
            }
            (&Method::POST, Some("chat/completions")) => self.with_model(model(&asked), chat),
            (&Method::POST, Some("embeddings")) => self.with_model(model(&asked), embed),
            _ => refuse(StatusCode::NOT_FOUND, &format!("Invalid URL ({method} {path})"), "invalid_url"),
        }
    }

    /// Why the caller's key is refused, if it is.
    fn refusal(&self, headers: &HeaderMap) -> Option<Answer> {
        let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let message = match sent {
            Some(key) if key == self.key => return None,
            // Like the vendor it plays, it echoes a part of the key. Modelward removes it from what it shows.
            Some(key) => {
                let tail: String = key.chars().skip(key.chars().count().saturating_sub(4)).collect();
                format!("Incorrect API key provided: sk-***{tail}.")
            }
            None => "You didn't provide an API key. Send it as `Authorization: Bearer YOUR_KEY`.".to_owned(),
        };
        Some(refuse(StatusCode::UNAUTHORIZED, &message, "invalid_api_key"))
    }

    fn with_model(&self, id: &str, work: impl Fn(&str) -> Value) -> Answer {
        if self.behaviour().models.iter().any(|known| known == id) {
            return answer(StatusCode::OK, &work(id));
        }
        let message = format!("The model `{id}` does not exist or you do not have access to it.");
        refuse(StatusCode::NOT_FOUND, &message, "model_not_found")
    }
}

fn model(asked: &Value) -> &str {
    asked.get("model").and_then(Value::as_str).unwrap_or_default()
}

/// A row of the list. Window and capabilities are told as several compatible servers do; OpenAI itself does not.
fn describe(id: &str) -> Value {
    let embeds = id.contains("embedding");
    let (window, capabilities) = if embeds {
        (8_191, json!(["embedding"]))
    } else {
        (128_000, json!(["chat", "function_calling", "vision", "structured_output", "streaming"]))
    };
    json!({
        "id": id, "object": "model", "created": 1_721_172_741, "owned_by": "mock",
        "context_length": window, "capabilities": capabilities,
    })
}

fn chat(id: &str) -> Value {
    json!({
        "id": "chatcmpl-mock", "object": "chat.completion", "created": 1_721_172_741, "model": id,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    })
}

fn embed(id: &str) -> Value {
    json!({
        "object": "list", "model": id,
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.75]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    })
}

/// An error in OpenAI's form.
fn refuse(status: StatusCode, message: &str, code: &str) -> Answer {
    let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
    answer(status, &json!({"error": {"message": message, "type": kind, "param": null, "code": code}}))
}

fn answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    answer
}
