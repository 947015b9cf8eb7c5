//! The server around the answers, over plain HTTP or TLS.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::answer::{Manner, answer};
use super::case::Case;
use super::check::{Question, faults};
use super::rows::Row;

struct State {
    row: &'static Row,
    case: Case,
    /// What a quoting vendor answers with.
    status: u16,
    /// Taken for a good one; without it every key is.
    key: Option<String>,
    questions: Vec<Question>,
    faults: Vec<String>,
}

/// The running vendor; it ends when dropped.
pub struct Simulator {
    pub address: SocketAddr,
    secure: bool,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Simulator {
    /// Starts a vendor of the row's kind.
    pub async fn start(row: &'static Row, case: Case) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::start_on(listener, row, case, None, None).expect("an address")
    }

    /// Starts it on a listener, with TLS where a configuration is given, for callers who know the key.
    pub fn start_on(
        listener: TcpListener,
        row: &'static Row,
        case: Case,
        key: Option<String>,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> io::Result<Self> {
        let (address, secure) = (listener.local_addr()?, tls.is_some());
        let (questions, faults) = (Vec::new(), Vec::new());
        let state = Arc::new(Mutex::new(State { row, case, status: 401, key, questions, faults }));
        let task = tokio::spawn(accept(listener, tls.map(TlsAcceptor::from), state.clone()));
        Ok(Self { address, secure, state, task })
    }

    /// The base URL that an operator would give. A certificate names `localhost`.
    pub fn url(&self) -> String {
        let base = lock(&self.state).row.base;
        if self.secure {
            format!("https://localhost:{}{base}", self.address.port())
        } else {
            format!("http://{}{base}", self.address)
        }
    }

    pub fn set_case(&self, case: Case) {
        lock(&self.state).case = case;
    }

    /// What it quotes with from now on.
    pub fn quote_with(&self, status: u16) {
        let mut state = lock(&self.state);
        (state.case, state.status) = (Case::Quoting, status);
    }

    pub fn questions(&self) -> Vec<Question> {
        lock(&self.state).questions.clone()
    }

    /// What was wrong with the questions so far.
    pub fn faults(&self) -> Vec<String> {
        lock(&self.state).faults.clone()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else { return };
                connections.spawn(serve(socket, tls.clone(), state.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// A caller that goes away in the middle is no error of the vendor's.
async fn serve(socket: TcpStream, tls: Option<TlsAcceptor>, state: Arc<Mutex<State>>) {
    let service = service_fn(move |request| handle(state.clone(), request));
    let server = auto::Builder::new(TokioExecutor::new());
    if let Some(tls) = tls {
        let Ok(socket) = tls.accept(socket).await else { return };
        let _ = server.serve_connection(TokioIo::new(socket), service).await;
    } else {
        let _ = server.serve_connection(TokioIo::new(socket), service).await;
    }
}

async fn handle(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Told>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let reply = {
        let mut state = lock(&state);
        let body = String::from_utf8_lossy(&body).into_owned();
        let question = Question::read(state.row, head.method, path, head.headers, body, state.status);
        let faults = faults(state.row, &question);
        state.faults.extend(faults);
        let is_stranger = state.key.is_some() && question.key.is_some() && question.key != state.key;
        let case = if is_stranger { Case::BadKey } else { state.case };
        state.questions.push(question.clone());
        answer(state.row, case, &question)
    };
    let mut response = Response::builder().status(reply.status).header("content-type", "application/json");
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let mut told = Told { body: reply.body.into_bytes().into(), cut: None };
    match reply.manner {
        Manner::AtOnce => {}
        Manner::After(late) => tokio::time::sleep(late).await,
        Manner::Never => std::future::pending().await,
        Manner::Cut(at) => told.cut = Some(at),
    }
    Ok(response.body(told).unwrap_or_else(|_| Response::new(Told { body: Bytes::new(), cut: None })))
}

/// A body that may break off: all of it is announced.
struct Told {
    body: Bytes,
    cut: Option<usize>,
}

impl Body for Told {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let ended = self.body.is_empty();
        Poll::Ready(match self.cut {
            Some(0) => Some(Err(io::ErrorKind::ConnectionReset.into())),
            Some(at) => {
                self.cut = Some(0);
                Some(Ok(Frame::data(self.body.slice(..at))))
            }
            None if ended => None,
            None => Some(Ok(Frame::data(std::mem::take(&mut self.body)))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.cut.is_none() && self.body.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.len() as u64)
    }
}
