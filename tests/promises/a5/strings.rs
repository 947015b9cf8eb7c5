//! Every settable text of every resource × text that something may stumble over: kept as it was given, or refused by name.

use std::collections::HashMap;

use modelward::proto::v1::ProviderKind;
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};

use super::attack::call;
use super::judge::{Answer, judge};
use super::value::TEXTS;
use crate::support::resources::{credential, endpoint, model, provider};
use crate::support::{Server, dynamic};

/// Where a text stands: fields from the resource inwards.
#[derive(Clone)]
pub struct Place {
    path: Vec<FieldDescriptor>,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Plain,
    Item,
    Key,
    Value,
    Struct,
}

impl Place {
    fn name(&self) -> String {
        self.path.iter().map(FieldDescriptor::name).collect::<Vec<_>>().join(".")
    }

    /// The text in the form that the field wants, where it wants one: only what is odd should be refused.
    fn dress(&self, text: &str) -> String {
        match self.name().as_str() {
            "base_url" => format!("http://h.example.com/{text}"),
            "health_check.path" => format!("/{text}"),
            _ => text.to_owned(),
        }
    }

    fn set(&self, resource: &mut DynamicMessage, text: &str) {
        let (last, outer) = self.path.split_last().unwrap();
        let mut message = resource;
        for field in outer {
            message = message.get_field_mut(field).as_message_mut().unwrap();
        }
        let text = Value::String(text.to_owned());
        let key = |key: &Value| MapKey::String(key.as_str().unwrap().to_owned());
        let value = match self.form {
            Form::Plain => text,
            Form::Item => Value::List(vec![text]),
            Form::Key => Value::Map(HashMap::from([(key(&text), Value::String("value".into()))])),
            Form::Value => Value::Map(HashMap::from([(MapKey::String("key".into()), text)])),
            Form::Struct => {
                let pool = last.parent_pool();
                let mut inner = DynamicMessage::new(pool.get_message_by_name("google.protobuf.Value").unwrap());
                let map_key = key(&text);
                inner.set_field_by_name("string_value", text);
                let mut outer = DynamicMessage::new(pool.get_message_by_name("google.protobuf.Struct").unwrap());
                outer.set_field_by_name("fields", Value::Map(HashMap::from([(map_key, Value::Message(inner))])));
                Value::Message(outer)
            }
        };
        message.set_field(last, value);
    }

    /// Everything that stands there, in a form that can be compared.
    fn get(&self, resource: &DynamicMessage) -> Value {
        let (last, outer) = self.path.split_last().unwrap();
        let mut message = resource.clone();
        for field in outer {
            message = message.get_field(field).as_message().unwrap().clone();
        }
        message.get_field(last).into_owned()
    }
}

/// The places of a resource and of the messages in it.
fn places(message: &MessageDescriptor, outer: &[FieldDescriptor]) -> Vec<Place> {
    let (_, comments) = dynamic::message(message.name());
    let mut found = Vec::new();
    for (field, comment) in message.fields().zip(comments) {
        if comment.starts_with("Output only.") || field.name() == "provider_id" {
            continue;
        }
        let path = [outer, std::slice::from_ref(&field)].concat();
        let place = |form| Place { path: path.clone(), form };
        match field.kind() {
            Kind::String if field.is_list() => found.push(place(Form::Item)),
            Kind::String => found.push(place(Form::Plain)),
            Kind::Message(_) if field.is_map() => found.extend([place(Form::Key), place(Form::Value)]),
            Kind::Message(inner) if inner.full_name() == "google.protobuf.Struct" => found.push(place(Form::Struct)),
            Kind::Message(inner) if inner.package_name() == "modelward.v1" && !field.is_list() => {
                found.extend(places(&inner, &path));
            }
            _ => {}
        }
    }
    found
}

/// A kind of resource, and the shortest one of it with this name.
struct Subject {
    noun: &'static str,
    good: DynamicMessage,
    name: &'static str,
}

fn subjects(pool: &DescriptorPool, provider_id: &str) -> Vec<Subject> {
    let subject = |noun, name, bytes: Vec<u8>| {
        let message = pool.get_message_by_name(&format!("modelward.v1.{}", capital(noun))).unwrap();
        Subject { noun, name, good: DynamicMessage::decode(message, bytes.as_slice()).unwrap() }
    };
    vec![
        subject("provider", "name", provider("x", ProviderKind::Ollama).encode_to_vec()),
        subject("endpoint", "name", endpoint(provider_id, "x", "http://h.example.com").encode_to_vec()),
        subject("credential", "alias", credential(provider_id, "x", "sk-0123456789").encode_to_vec()),
        subject("model", "model_id", model(provider_id, "x").encode_to_vec()),
    ]
}

fn capital(noun: &str) -> String {
    format!("{}{}", noun[..1].to_uppercase(), &noun[1..])
}

/// Calls an RPC of the resource's service.
async fn ask(server: &Server, rpc: &str, noun: &str, request: &DynamicMessage) -> Result<Answer, String> {
    use tower::ServiceExt as _;
    let path = format!("modelward.v1.{}Service/{rpc}", capital(noun));
    let mut metadata = http::HeaderMap::new();
    metadata.insert("authorization", format!("Bearer {}", server.admin().token().unwrap()).parse().unwrap());
    let Ok(response) = server.api().oneshot(call(&path, &request.encode_to_vec(), metadata)).await;
    judge(response).await
}

/// Creates a resource with this text at this place, and looks at what was kept.
async fn try_one(server: &Server, subject: &Subject, place: &Place, text: &str, number: usize) -> Result<bool, String> {
    let text = place.dress(text);
    let (noun, pool) = (subject.noun, subject.good.descriptor().parent_pool().clone());
    let message =
        |name: String| DynamicMessage::new(pool.get_message_by_name(&format!("modelward.v1.{name}")).unwrap());
    let mut resource = subject.good.clone();
    resource.set_field_by_name(subject.name, Value::String(format!("{noun}-{number}")));
    place.set(&mut resource, &text);
    let mut request = message(format!("Create{}Request", capital(noun)));
    request.set_field_by_name(noun, Value::Message(resource.clone()));
    let told = |problem: String| format!("{noun}.{} ({:?}) = {text:?}: {problem}", place.name(), place.form);
    let made = match ask(server, &format!("Create{}", capital(noun)), noun, &request).await.map_err(told)? {
        Answer::Message(bytes) => {
            let form = message(format!("Create{}Response", capital(noun))).descriptor();
            let answer = DynamicMessage::decode(form, bytes.unwrap()).unwrap();
            answer.get_field_by_name(noun).unwrap().as_message().unwrap().clone()
        }
        Answer::Refused(refusal) => {
            let field = format!("{noun}.{}", place.name());
            // A secret without any text is wrong as a whole.
            let named =
                refusal.fields.iter().any(|named| named.starts_with(&field) || field.starts_with(named.as_str()));
            return if named { Ok(false) } else { Err(told(refusal.to_string())) };
        }
        Answer::Unread(_) => return Err(told("not read".to_owned())),
    };
    let stored = read_back(server, subject, place, &made).await.map_err(told)?;
    let (given, kept) = (place.get(&resource), place.get(&stored));
    if given == kept || is_same_address(place, &given, &kept) {
        return Ok(true);
    }
    Err(told(format!("kept as {kept:?}")))
}

/// The resource as it is shown now; with its secret, where that is the question.
async fn read_back(
    server: &Server,
    subject: &Subject,
    place: &Place,
    made: &DynamicMessage,
) -> Result<DynamicMessage, String> {
    let pool = subject.good.descriptor().parent_pool().clone();
    let secret = place.name().starts_with("secret.");
    let rpc = if secret { "AccessCredential".to_owned() } else { format!("Get{}", capital(subject.noun)) };
    let message =
        |suffix: &str| DynamicMessage::new(pool.get_message_by_name(&format!("modelward.v1.{rpc}{suffix}")).unwrap());
    let mut request = message("Request");
    request.set_field_by_name("id", made.get_field_by_name("id").unwrap().into_owned());
    let Answer::Message(Some(bytes)) = ask(server, &rpc, subject.noun, &request).await? else {
        return Err("it cannot be read back".to_owned());
    };
    let answer = DynamicMessage::decode(message("Response").descriptor(), bytes).unwrap();
    if !secret {
        return Ok(answer.get_field_by_name(subject.noun).unwrap().as_message().unwrap().clone());
    }
    let mut shown = made.clone();
    shown.set_field_by_name("secret", answer.get_field_by_name("secret").unwrap().into_owned());
    Ok(shown)
}

/// Slashes at the end of a URL are dropped, as its documentation says, and hosts are shown in lower case.
fn is_same_address(place: &Place, given: &Value, kept: &Value) -> bool {
    let text = |value: &Value| {
        let first = value.as_list().and_then(|list| list.first().cloned()).unwrap_or_else(|| value.clone());
        first.as_str().unwrap_or_default().to_owned()
    };
    match place.name().as_str() {
        "base_url" => text(given).trim_end_matches('/') == text(kept).trim_end_matches('/'),
        "allowed_hosts" => text(given).to_ascii_lowercase() == text(kept),
        _ => false,
    }
}

/// How many texts were kept and how many refused.
///
/// # Errors
/// Everything that was neither.
pub async fn check(server: &Server) -> Result<(usize, usize), Vec<String>> {
    let pool = super::shape::Shapes::load().pool;
    let there = server.admin().add_provider("there", ProviderKind::Ollama).await;
    let (mut kept, mut refused, mut wrong, mut number) = (0, 0, Vec::new(), 0);
    for subject in subjects(&pool, &there.id) {
        for place in places(&subject.good.descriptor(), &[]) {
            for text in TEXTS {
                number += 1;
                match try_one(server, &subject, &place, text, number).await {
                    Ok(true) => kept += 1,
                    Ok(false) => refused += 1,
                    Err(problem) => wrong.push(problem),
                }
            }
        }
    }
    if wrong.is_empty() { Ok((kept, refused)) } else { Err(wrong) }
}
