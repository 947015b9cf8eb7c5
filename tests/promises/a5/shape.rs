//! The messages of the API as the generator needs them: read from the descriptors once.

use std::collections::HashMap;

use modelward::proto;
use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

/// All messages that requests are made of.
pub struct Shapes {
    pub pool: DescriptorPool,
    messages: Vec<Shape>,
    index: HashMap<String, usize>,
    /// Names of fields, as masks and orders may name them.
    pub names: Vec<String>,
}

#[derive(Clone)]
pub struct Shape {
    pub name: String,
    pub fields: Vec<Field>,
}

#[derive(Clone)]
pub struct Field {
    pub name: String,
    pub number: u32,
    pub value: Value,
    pub many: bool,
}

#[derive(Clone)]
pub enum Value {
    Bool,
    Int,
    Double,
    Text,
    Bytes,
    Enum(Vec<i32>),
    Message(usize),
}

/// One RPC: its path and what it takes.
#[derive(Clone)]
pub struct Method {
    /// `modelward.v1.ProviderService/GetProvider`.
    pub path: &'static str,
    pub input: usize,
    pub output: MessageDescriptor,
}

impl Shapes {
    pub fn load() -> Self {
        let pool = DescriptorPool::decode(proto::DESCRIPTOR).unwrap();
        let mut shapes = Self { pool: pool.clone(), messages: Vec::new(), index: HashMap::new(), names: Vec::new() };
        for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            shapes.add(&method.input());
        }
        let mut names: Vec<_> =
            shapes.messages.iter().flat_map(|shape| &shape.fields).map(|f| f.name.clone()).collect();
        names.sort();
        names.dedup();
        shapes.names = names;
        shapes
    }

    pub fn get(&self, index: usize) -> &Shape {
        &self.messages[index]
    }

    /// The RPCs of the public API. What destroys comes last, or nothing would be left for the others.
    pub fn methods(&self) -> Vec<Method> {
        let services = self.pool.services().filter(|service| service.package_name() == "modelward.v1");
        let mut methods: Vec<_> = services
            .flat_map(|service| {
                service.methods().map(|method| (service.full_name().to_owned(), method)).collect::<Vec<_>>()
            })
            .map(|(service, method)| Method {
                path: format!("{service}/{}", method.name()).leak(),
                input: self.index[method.input().full_name()],
                output: method.output(),
            })
            .collect();
        methods.sort_by_key(|method| method.path.contains("/Delete") || method.path.contains("/Revoke"));
        methods
    }

    fn add(&mut self, message: &MessageDescriptor) -> usize {
        if let Some(found) = self.index.get(message.full_name()) {
            return *found;
        }
        let place = self.messages.len();
        self.index.insert(message.full_name().to_owned(), place);
        self.messages.push(Shape { name: message.full_name().to_owned(), fields: Vec::new() });
        let fields = message
            .fields()
            .map(|field| Field {
                name: field.name().to_owned(),
                number: field.number(),
                value: self.value(field.kind()),
                many: field.is_list() || field.is_map(),
            })
            .collect();
        self.messages[place].fields = fields;
        place
    }

    fn value(&mut self, kind: Kind) -> Value {
        match kind {
            Kind::Bool => Value::Bool,
            Kind::Double => Value::Double,
            Kind::String => Value::Text,
            Kind::Bytes => Value::Bytes,
            Kind::Enum(of) => Value::Enum(of.values().map(|value| value.number()).collect()),
            Kind::Message(of) => Value::Message(self.add(&of)),
            Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 => Value::Int,
            other => panic!("the generator knows no {other:?} yet"),
        }
    }
}
