//! Generated requests against a server's whole stack but the network, and what to tell when one goes wrong.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{BufMut as _, BytesMut};
use fastrand::Rng;
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use modelward::domain::CallContext;
use prost_reflect::DynamicMessage;
use tonic::body::Body;
use tower::{Service, ServiceExt as _};

use super::generator::{Generator, Known};
use super::judge::{Answer, Unread, judge, judge_stream};
use super::shape::{Method, Shapes};
use super::value::one;

/// Every so many-th request passes the gate; the others go to the handlers at once, for the sake of time: what they say
/// makes no difference before.
const GATED: u64 = 8;
/// The longest message that the transport takes where nobody tells it another limit, in bytes.
const LARGEST: usize = 4 << 20;
/// Calls of one RPC that are under way together.
const TOGETHER: usize = 24;

/// A server's stack, or a part of it.
pub trait Way:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + Sync
{
}

impl<S> Way for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + Sync
{
}

/// The ways in.
#[derive(Clone)]
pub struct Ways<G, H> {
    pub gate: G,
    pub handlers: H,
}

/// What is sent, and what is there for it.
pub struct Attack {
    pub shapes: Shapes,
    pub known: Known,
    pub token: String,
    pub seed: u64,
    /// Of 100 changes so many are rehearsed only.
    pub rehearse: u8,
}

/// What came of it: answers by code and reason.
#[derive(Default)]
pub struct Outcome {
    pub sent: usize,
    pub answers: BTreeMap<String, usize>,
}

impl Outcome {
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        for (answer, count) in other.answers {
            *self.answers.entry(answer).or_default() += count;
        }
    }
}

impl Attack {
    /// Sends the requests with these numbers to one RPC.
    ///
    /// # Errors
    /// What went wrong first, with the request.
    pub async fn run<G, H>(&self, ways: &Ways<G, H>, method: &Method, count: usize) -> Result<Outcome, String>
    where
        G: Way,
        H: Way,
    {
        let numbers = stream::iter(0..count as u64);
        let mut answers = numbers.map(|number| self.one(ways, method, number)).buffer_unordered(TOGETHER);
        let mut outcome = Outcome::default();
        while let Some(answer) = answers.next().await {
            outcome.sent += 1;
            *outcome.answers.entry(answer?).or_default() += 1;
        }
        Ok(outcome)
    }

    /// Sends one request; the answer's code and reason.
    async fn one<G: Way, H: Way>(&self, ways: &Ways<G, H>, method: &Method, number: u64) -> Result<String, String> {
        let gated = number.is_multiple_of(GATED);
        let (message, metadata) = self.request(method, number, gated);
        let told = |problem: String| self.tell(method, number, &message, &metadata, &problem);
        let mut request = call(method.path, &message, metadata.clone());
        let sent = async {
            if gated {
                return ways.gate.clone().oneshot(request).await;
            }
            request.extensions_mut().insert(CallContext::system(method.path));
            ways.handlers.clone().oneshot(request).await
        };
        // The gate catches panics, and its answer tells; without it they arrive here.
        let answered = AssertUnwindSafe(async {
            let response = sent.await.unwrap_or_else(|never| match never {});
            if method.path.ends_with("/Watch") { judge_stream(response).await } else { judge(response).await }
        });
        let answer = answered.catch_unwind().await.unwrap_or_else(|_| Err("a panic".to_owned()));
        match answer.map_err(&told)? {
            Answer::Refused(refusal) => Ok(refusal.reason),
            Answer::Unread(Unread::TooLarge) if message.len() > LARGEST => Ok("too large".to_owned()),
            Answer::Unread(Unread::TooLarge) => Err(told("too large, it says".to_owned())),
            Answer::Unread(Unread::Undecodable) if self.decodes(method, &message) => {
                Err(told("does not decode, it says".to_owned()))
            }
            Answer::Unread(_) => Ok("undecodable".to_owned()),
            Answer::Message(answer) => {
                // Decoding by descriptor is slow: a sample will do.
                if let Some(answer) = answer.filter(|_| number.is_multiple_of(16)) {
                    let output = method.output.clone();
                    DynamicMessage::decode(output, answer).map_err(|error| told(format!("an answer that {error}")))?;
                }
                Ok("OK".to_owned())
            }
        }
    }

    fn decodes(&self, method: &Method, message: &[u8]) -> bool {
        let input = self.shapes.pool.get_message_by_name(&self.shapes.get(method.input).name).unwrap();
        DynamicMessage::decode(input, message).is_ok()
    }

    /// The message with this number, and its metadata.
    pub fn request(&self, method: &Method, number: u64, odd: bool) -> (Vec<u8>, HeaderMap) {
        let mut generator = Generator::new(&self.shapes, &self.known, self.seed, method, number, self.rehearse);
        let message = generator.request(method);
        let mut random = Rng::with_seed(self.seed ^ number.wrapping_mul(31) ^ message.len() as u64);
        (message, metadata(&mut random, &self.token, odd))
    }

    /// All that is needed to send it again.
    fn tell(&self, method: &Method, number: u64, message: &[u8], metadata: &HeaderMap, problem: &str) -> String {
        let mut text = format!("{problem}\nrpc {}, seed {}, number {number}\n", method.path, self.seed);
        // Seed and number make the rest of a long one again.
        let _ = writeln!(text, "message {:.8000}", hex::encode(message));
        for (name, value) in metadata.iter().filter(|(name, _)| *name != "authorization") {
            let _ = writeln!(text, "metadata {name}: {value:?}");
        }
        let input = self.shapes.pool.get_message_by_name(&self.shapes.get(method.input).name).unwrap();
        if let Ok(message) = DynamicMessage::decode(input, message) {
            let _ = writeln!(text, "which is {:.4000}", message.to_string());
        }
        text
    }
}

/// The call as HTTP has it.
pub fn call(path: &str, message: &[u8], metadata: HeaderMap) -> Request<Body> {
    let mut body = BytesMut::with_capacity(message.len() + 5);
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).unwrap());
    body.put_slice(message);
    let mut request =
        Request::post(format!("http://localhost/{path}")).body(Body::new(Full::new(body.freeze()))).unwrap();
    *request.headers_mut() = metadata;
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert("te", HeaderValue::from_static("trailers"));
    request
}

/// The caller's token, and now and then something odd.
fn metadata(random: &mut Rng, token: &str, odd: bool) -> HeaderMap {
    let mut metadata = HeaderMap::new();
    metadata.insert("authorization", HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    if !odd || random.u8(..4) != 0 {
        return metadata;
    }
    let odd: &[(&'static str, &[&[u8]])] = &[
        (
            "authorization",
            &[b"", b"Bearer", b"Bearer ", b"bearer mw_", b"Basic eDp5", b"Bearer \xff\xfe", b"Bearer mw_x_y"],
        ),
        (
            "modelward-min-revision",
            &[b"", b"-1", b"x", b"0", b"1", b"99999999999999999999", b"9223372036854775807", b"\xff"],
        ),
        ("grpc-timeout", &[b"", b"0S", b"1n", b"5u", b"20m", b"99999999H", b"-1S", b"1", b"S", b"123456789S", b"\xff"]),
        ("traceparent", &[b"", b"00-0-0-0", b"00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-01", b"\xff"]),
        ("x-request-id", &[b"", b"a b", b"\xff\xfe", b"'; DROP TABLE changes; --"]),
        ("user-agent", &[b"", b"\xe4\xf6\xfc", b"'; --"]),
        ("grpc-encoding", &[b"gzip", b"zstd", b"deflate", b"identity", b"", b"\xff"]),
        ("grpc-accept-encoding", &[b"gzip", b"zstd,gzip", b"nonsense", b"\xff"]),
        ("content-length", &[b"0", b"-1", b"99999999999999999999"]),
        ("unheard-of-bin", &[b"!!!", b"AAAA"]),
    ];
    let (name, values) = one(random, odd);
    if *name == "modelward-min-revision" {
        // Nobody has time to wait for a revision that does not come.
        metadata.insert("grpc-timeout", HeaderValue::from_static("20m"));
    }
    if let Ok(value) = HeaderValue::from_bytes(one::<&[u8]>(random, values)) {
        metadata.insert(HeaderName::from_static(name), value);
    }
    metadata
}

/// Counts over all RPCs, as the work is shared out.
#[derive(Default)]
pub struct Next(AtomicUsize);

impl Next {
    pub fn take<T: Clone>(&self, of: &[T]) -> Option<T> {
        of.get(self.0.fetch_add(1, Ordering::Relaxed)).cloned()
    }
}
