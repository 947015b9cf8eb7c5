//! Makes requests from the descriptors: mostly plausible, with something wrong in them, down to bytes that are none.
//!
//! A request is a function of the seed, the RPC and its number, so that one alone can be made again.

use fastrand::Rng;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::shape::{Field, Method, Shape, Shapes, Value};
use super::value::{self, one};

/// What is there, for requests that get further than the first look.
#[derive(Default)]
pub struct Known {
    pub ids: Vec<String>,
    pub names: Vec<String>,
    pub page_tokens: Vec<String>,
}

pub struct Generator<'a> {
    shapes: &'a Shapes,
    known: &'a Known,
    random: Rng,
    /// How many values of 100 are odd.
    odd: u8,
    /// Whether changes are only rehearsed.
    rehearse: u8,
    /// How many ids of 100 are real.
    real: u8,
}

/// RPCs that ask a vendor or the database every time: of these few get that far.
const SLOW: &[&str] = &[
    "/SyncModels",
    "/ValidateCredential",
    "/TestModel",
    "/CheckEndpointHealth",
    "/AccessCredential",
    "/ListSecretUse",
];

impl<'a> Generator<'a> {
    /// `rehearse` of 100 changes are not made.
    pub fn new(shapes: &'a Shapes, known: &'a Known, seed: u64, method: &Method, number: u64, rehearse: u8) -> Self {
        let name = method.path.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let random = Rng::with_seed(name ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let rehearse = if method.path.contains("/Delete") || method.path.contains("/Revoke") { 99 } else { rehearse };
        let real = if SLOW.iter().any(|slow| method.path.ends_with(slow)) { 3 } else { 75 };
        Self { shapes, known, random, odd: 0, rehearse, real }
    }

    /// The bytes of one request message.
    pub fn request(&mut self, method: &Method) -> Vec<u8> {
        self.odd = *one(&mut self.random, &[0, 2, 5, 15, 60]);
        let mut message = self.message(method.input, 0);
        match self.random.u8(..20) {
            0 => message.truncate(self.random.usize(..=message.len())),
            1 => self.flip(&mut message),
            2 => self.splice(&mut message),
            3 => message = (0..self.random.usize(..64)).map(|_| self.random.u8(..)).collect(),
            // The same fields again: the later ones win, messages merge.
            4 => message.extend(self.message(method.input, 0)),
            5 => self.stray(&mut message),
            _ => {}
        }
        message
    }

    fn is_odd(&mut self) -> bool {
        self.random.u8(..100) < self.odd
    }

    fn message(&mut self, index: usize, depth: usize) -> Vec<u8> {
        let shapes = self.shapes;
        let shape = shapes.get(index);
        let mut out = Vec::new();
        if depth > 9 || self.well_known(shape, &mut out) {
            return out;
        }
        let carried = *one(&mut self.random, &[30, 60, 90]);
        for field in &shape.fields {
            // A request without its resource or its id does not get far.
            let needed = depth == 0 && (field.name == "id" || matches!(field.value, Value::Message(_)) && !field.many);
            if self.random.u8(..100) < if needed { 95 } else { carried } {
                self.field(field, depth, &mut out);
            }
        }
        out
    }

    fn field(&mut self, field: &Field, depth: usize, out: &mut Vec<u8>) {
        let times = match () {
            () if !field.many => 1,
            () if self.is_odd() => *one(&mut self.random, &[0, 1, 16, 17, 32, 33, 100]),
            // Seldom, because it takes long.
            () if self.random.u16(..2000) == 0 => 3000,
            () => self.random.usize(..3),
        };
        for _ in 0..times {
            if self.is_odd() && self.random.u8(..10) == 0 {
                self.wrong_type(field.number, out);
                continue;
            }
            match &field.value {
                Value::Bool => varint(field.number, u64::from(self.bool(&field.name)), out),
                Value::Int => varint(field.number, self.int(&field.name).cast_unsigned(), out),
                Value::Enum(values) => varint(field.number, self.number_of(values).cast_unsigned(), out),
                Value::Double => {
                    encode_key(field.number, WireType::SixtyFourBit, out);
                    out.extend(self.double().to_le_bytes());
                }
                Value::Text | Value::Bytes => {
                    let text = self.text(&field.name);
                    length_delimited(field.number, &text, out);
                }
                Value::Message(index) => {
                    let inner = self.message(*index, depth + 1);
                    length_delimited(field.number, &inner, out);
                }
            }
        }
    }

    /// Messages with a meaning of their own.
    fn well_known(&mut self, shape: &Shape, out: &mut Vec<u8>) -> bool {
        match shape.name.as_str() {
            "google.protobuf.Duration" | "google.protobuf.Timestamp" => {
                let odd = self.is_odd() || self.random.u8(..4) == 0;
                let likely = if shape.name.ends_with("Timestamp") { (4_000_000_000, 0) } else { (5, 0) };
                let (seconds, nanos) = if odd { value::moment(&mut self.random) } else { likely };
                varint(1, seconds.cast_unsigned(), out);
                varint(2, nanos.cast_unsigned(), out);
            }
            "google.protobuf.FieldMask" => {
                for _ in 0..self.random.usize(..5) {
                    let path = self.path();
                    length_delimited(1, &path, out);
                }
            }
            "google.protobuf.Struct" if self.is_odd() => {
                let levels = *one(&mut self.random, &[7, 8, 9, 30, 48, 51, 99, 101, 400]);
                *out = nested(levels);
            }
            _ => return false,
        }
        true
    }

    fn bool(&mut self, name: &str) -> bool {
        match name {
            "validate_only" | "dry_run" => self.random.u8(..100) < self.rehearse,
            "purge" => self.random.u8(..20) == 0,
            _ => self.random.bool(),
        }
    }

    fn int(&mut self, name: &str) -> i64 {
        match name {
            _ if self.is_odd() => value::int(&mut self.random),
            "expected_revision" | "revision" | "from_revision" | "secret_version" => self.random.i64(..4),
            "page_size" => *one(&mut self.random, &[0, 1, 2, 50]),
            _ => self.random.i64(1..5),
        }
    }

    fn number_of(&mut self, values: &[i32]) -> i64 {
        if self.is_odd() {
            return *one(&mut self.random, &[-1, 0, 99, 9999, i64::from(i32::MAX), i64::from(i32::MIN), 1 << 40]);
        }
        i64::from(*one(&mut self.random, values))
    }

    fn double(&mut self) -> f64 {
        if self.is_odd() { value::double(&mut self.random) } else { self.random.f64() }
    }

    fn text(&mut self, name: &str) -> Vec<u8> {
        if self.is_odd() {
            return value::text(&mut self.random);
        }
        let number = self.random.u32(..1_000_000);
        let random = &mut self.random;
        match name {
            _ if name.ends_with("id") && name != "request_id" && name != "watch_id" => return self.id(),
            "exclude_endpoint_ids" | "credential_ids" => return self.id(),
            "page_token" | "resume_token" => return self.page_token(),
            "paths" | "unpin_fields" => return self.path(),
            "order_by" => return self.order(),
            "name" | "alias" | "consumer" if random.u8(..3) == 0 && !self.known.names.is_empty() => {
                one(random, &self.known.names).clone()
            }
            "base_url" => {
                one(random, &["http://127.0.0.1:1/v1", "https://h.example.com", "http://[::1]:1/"]).to_string()
            }
            "allowed_hosts" => one(random, &["h.example.com", "h.example.com:8443", "http://127.0.0.1:1"]).to_string(),
            "currency" => one(random, &["USD", "EUR", "CNY"]).to_string(),
            "input_per_1k" | "output_per_1k" => one(random, &["0", "0.001", "0.000000001", "15"]).to_string(),
            "request_id" | "reason" => format!("{}", number % 50),
            "path" => "/healthz".to_owned(),
            "query" => one(random, &["", "a", "1"]).to_string(),
            _ => format!("{name}-{number}"),
        }
        .into_bytes()
    }

    fn id(&mut self) -> Vec<u8> {
        let real = self.known.ids.get(self.random.usize(..self.known.ids.len().max(1))).cloned().unwrap_or_default();
        if self.random.u8(..100) < self.real {
            return real.into_bytes();
        }
        match self.random.u8(..4) {
            0 => self.mutated(real),
            1 => real.to_uppercase().into_bytes(),
            2 => format!("{:08x}-0000-7000-8000-{:012x}", self.random.u32(..), self.random.u32(..)).into_bytes(),
            _ => real.replace('-', "").into_bytes(),
        }
    }

    fn page_token(&mut self) -> Vec<u8> {
        match self.random.u8(..4) {
            0 | 1 => Vec::new(),
            2 if !self.known.page_tokens.is_empty() => one(&mut self.random, &self.known.page_tokens).clone().into(),
            _ => {
                let real = self.known.page_tokens.first().cloned().unwrap_or_default();
                self.mutated(real)
            }
        }
    }

    fn mutated(&mut self, text: String) -> Vec<u8> {
        let mut bytes = text.into_bytes();
        if let Some(place) = self.random.usize(..=bytes.len()).checked_sub(1) {
            match self.random.u8(..3) {
                0 => bytes.truncate(place),
                1 => bytes[place] = self.random.alphanumeric() as u8,
                _ => bytes.insert(place, self.random.alphanumeric() as u8),
            }
        }
        bytes
    }

    fn path(&mut self) -> Vec<u8> {
        let name = one(&mut self.random, &self.shapes.names).clone();
        match self.random.u8(..12) {
            0 => b"*".to_vec(),
            1 => value::text(&mut self.random),
            2 => format!("{name}.").into_bytes(),
            3 => format!(".{name}..{name}").into_bytes(),
            4 => format!("{name}.{}", one(&mut self.random, &self.shapes.names)).into_bytes(),
            5 => "a.".repeat(self.random.usize(..200)).into_bytes(),
            _ => name.into_bytes(),
        }
    }

    fn order(&mut self) -> Vec<u8> {
        let one_of =
            &["", "name", "name desc", "create_time,name desc", "input_price", ",", "name desc desc", "NAME", "id;"];
        one(&mut self.random, one_of).as_bytes().to_vec()
    }

    /// A field of this number with a type that it does not have.
    fn wrong_type(&mut self, number: u32, out: &mut Vec<u8>) {
        let kind = self.random.u8(..8);
        encode_varint(u64::from(number << 3) | u64::from(kind), out);
        out.extend((0..self.random.usize(..10)).map(|_| self.random.u8(..)));
    }

    /// A field that nobody has declared.
    fn stray(&mut self, out: &mut Vec<u8>) {
        let number = *one(&mut self.random, &[0, 99, 1000, 18_999, 19_000, (1 << 29) - 1]);
        if self.random.bool() {
            self.wrong_type(number, out);
        } else {
            length_delimited(number.max(1), b"stray", out);
        }
    }

    fn flip(&mut self, message: &mut [u8]) {
        for _ in 0..self.random.usize(1..4) {
            if let Some(place) = self.random.usize(..=message.len()).checked_sub(1) {
                message[place] = self.random.u8(..);
            }
        }
    }

    fn splice(&mut self, message: &mut Vec<u8>) {
        let place = self.random.usize(..=message.len());
        let count = *one(&mut self.random, &[1, 2, 9, 40]);
        let bytes: Vec<_> = (0..count).map(|_| self.random.u8(..)).collect();
        message.splice(place..place, bytes);
    }
}

/// A Struct within a Struct, so many levels deep.
pub fn nested(levels: usize) -> Vec<u8> {
    let mut inner = Vec::new();
    for _ in 0..levels {
        let (mut value, mut entry, mut outer) = (Vec::new(), Vec::new(), Vec::new());
        length_delimited(5, &inner, &mut value);
        length_delimited(1, b"k", &mut entry);
        length_delimited(2, &value, &mut entry);
        length_delimited(1, &entry, &mut outer);
        inner = outer;
    }
    inner
}

fn varint(number: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, out);
    encode_varint(value, out);
}

pub fn length_delimited(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend(bytes);
}
