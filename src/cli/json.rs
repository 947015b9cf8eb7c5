//! Messages of the API as the JSON that protobuf defines, by the descriptors that the program carries.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use prost::bytes::{Buf as _, Bytes};
use prost::encoding::{WireType, decode_key, decode_varint};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use serde_json::{Map, Value};

use crate::proto::DESCRIPTOR;

/// Knows all messages and enums by their full names, with a leading dot.
pub struct Json {
    messages: HashMap<String, DescriptorProto>,
    enums: HashMap<String, EnumDescriptorProto>,
}

impl Json {
    pub fn new() -> anyhow::Result<Self> {
        let mut json = Self { messages: HashMap::new(), enums: HashMap::new() };
        for file in FileDescriptorSet::decode(DESCRIPTOR)?.file {
            let package = format!(".{}", file.package());
            json.enums.extend(file.enum_type.into_iter().map(|found| (format!("{package}.{}", found.name()), found)));
            for found in file.message_type {
                json.add(&package, found);
            }
        }
        Ok(json)
    }

    fn add(&mut self, parent: &str, message: DescriptorProto) {
        let name = format!("{parent}.{}", message.name());
        for nested in &message.nested_type {
            self.add(&name, nested.clone());
        }
        self.messages.insert(name, message);
    }

    /// The message of this name, `WatchResponse` say, on one line.
    pub fn line(&self, name: &str, message: &impl Message) -> anyhow::Result<String> {
        Ok(self.message(&format!(".modelward.v1.{name}"), message.encode_to_vec().into())?.to_string())
    }

    fn message(&self, name: &str, mut bytes: Bytes) -> anyhow::Result<Value> {
        match name {
            ".google.protobuf.Timestamp" => return timestamp(&prost_types::Timestamp::decode(bytes)?),
            ".google.protobuf.Duration" => return Ok(duration(&prost_types::Duration::decode(bytes)?)),
            ".google.protobuf.Struct" => return Ok(structure(prost_types::Struct::decode(bytes)?)),
            _ => {}
        }
        let known = self.messages.get(name).with_context(|| format!("no message {name}"))?;
        let mut object = Map::new();
        while bytes.has_remaining() {
            let (number, wire) = decode_key(&mut bytes)?;
            let field = known.field.iter().find(|field| field.number() == i32::try_from(number).unwrap_or(0));
            let field = field.with_context(|| format!("no field {number} in {name}"))?;
            self.field(field, wire, &mut bytes, &mut object)?;
        }
        Ok(Value::Object(object))
    }

    fn field(
        &self,
        field: &FieldDescriptorProto,
        wire: WireType,
        bytes: &mut Bytes,
        object: &mut Map<String, Value>,
    ) -> anyhow::Result<()> {
        let name = field.json_name().to_owned();
        if field.label() != Label::Repeated {
            object.insert(name, self.value(field, bytes)?);
            return Ok(());
        }
        if self.messages.get(field.type_name()).is_some_and(is_map_entry) {
            let entry = self.value(field, bytes)?;
            let key = entry.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
            let value = entry.get("value").cloned().unwrap_or_else(|| Value::String(String::new()));
            if let Value::Object(map) = object.entry(name).or_insert_with(|| Value::Object(Map::new())) {
                map.insert(key, value);
            }
            return Ok(());
        }
        let Value::Array(list) = object.entry(name).or_insert_with(|| Value::Array(Vec::new())) else { return Ok(()) };
        let is_packed =
            wire == WireType::LengthDelimited && !matches!(field.r#type(), Type::String | Type::Bytes | Type::Message);
        if is_packed {
            let mut packed = delimited(bytes)?;
            while packed.has_remaining() {
                list.push(self.value(field, &mut packed)?);
            }
        } else {
            list.push(self.value(field, bytes)?);
        }
        Ok(())
    }

    /// One value. Whole numbers of 64 bits are text, as JSON's own numbers are not that exact.
    fn value(&self, field: &FieldDescriptorProto, bytes: &mut Bytes) -> anyhow::Result<Value> {
        Ok(match field.r#type() {
            Type::Message => self.message(field.type_name(), delimited(bytes)?)?,
            Type::String => Value::String(String::from_utf8(delimited(bytes)?.to_vec())?),
            Type::Bytes => Value::String(STANDARD.encode(delimited(bytes)?)),
            Type::Bool => Value::Bool(decode_varint(bytes)? != 0),
            Type::Int64 | Type::Uint64 => Value::String(decode_varint(bytes)?.cast_signed().to_string()),
            Type::Int32 | Type::Uint32 => Value::from(decode_varint(bytes)?.cast_signed()),
            Type::Enum => self.word(field.type_name(), decode_varint(bytes)?.cast_signed()),
            Type::Double => Value::from(bytes.try_get_f64_le()?),
            Type::Float => Value::from(bytes.try_get_f32_le()?),
            other => bail!("a field of the type {other:?}"),
        })
    }

    fn word(&self, name: &str, number: i64) -> Value {
        let values = self.enums.get(name).into_iter().flat_map(|known| &known.value);
        let found = values.into_iter().find(|value| i64::from(value.number()) == number);
        found.map_or_else(|| Value::from(number), |value| Value::from(value.name()))
    }
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry)
}

fn delimited(bytes: &mut Bytes) -> anyhow::Result<Bytes> {
    let length = usize::try_from(decode_varint(bytes)?)?;
    anyhow::ensure!(length <= bytes.len(), "a field that is cut off");
    Ok(bytes.split_to(length))
}

fn timestamp(time: &prost_types::Timestamp) -> anyhow::Result<Value> {
    Ok(Value::String(jiff::Timestamp::new(time.seconds, time.nanos)?.to_string()))
}

fn duration(duration: &prost_types::Duration) -> Value {
    let text = format!("{}.{:09}", duration.seconds, duration.nanos.unsigned_abs());
    Value::String(format!("{}s", text.trim_end_matches('0').trim_end_matches('.')))
}

fn structure(found: prost_types::Struct) -> Value {
    Value::Object(found.fields.into_iter().map(|(key, value)| (key, any(value))).collect())
}

fn any(value: prost_types::Value) -> Value {
    use prost_types::value::Kind;
    match value.kind {
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::NumberValue(number)) => Value::from(number),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::ListValue(list)) => Value::Array(list.values.into_iter().map(any).collect()),
        Some(Kind::StructValue(found)) => structure(found),
        Some(Kind::NullValue(_)) | None => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1;

    #[test]
    fn a_message_is_written_as_protobuf_says() {
        let parameters = v1::ModelParameters {
            temperature: Some(0.5),
            stop: vec!["a".into()],
            extra: Some(prost_types::Struct { fields: [("k".to_owned(), prost_types::Value { kind: None })].into() }),
            ..Default::default()
        };
        let model = v1::Model {
            labels: [("team".to_owned(), "x".to_owned())].into(),
            default_parameters: Some(parameters),
            context_window: Some(2_000_000),
            create_time: Some(prost_types::Timestamp { seconds: 0, nanos: 5_000_000 }),
            is_active: Some(false),
            ..Default::default()
        };
        let change = v1::Change {
            resource_kind: v1::ResourceKind::Model.into(),
            after: Some(v1::Resource { resource: Some(v1::resource::Resource::Model(model)) }),
            ..Default::default()
        };
        let message = v1::WatchResponse { changes: vec![change], revision: 7, ..Default::default() };
        let line = Json::new().unwrap().line("WatchResponse", &message).unwrap();
        let expected = serde_json::json!({"changes": [{
            "resourceKind": "RESOURCE_KIND_MODEL",
            "after": {"model": {
                "labels": {"team": "x"},
                "defaultParameters": {"temperature": 0.5, "stop": ["a"], "extra": {"k": null}},
                "contextWindow": 2_000_000,
                "createTime": "1970-01-01T00:00:00.005Z",
                "isActive": false,
            }},
        }], "revision": "7"});
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
    }

    #[test]
    fn a_duration_has_the_digits_that_it_needs() {
        let text = |seconds, nanos| duration(&prost_types::Duration { seconds, nanos });
        assert_eq!([text(5, 0), text(0, 500_000_000)], ["5s", "0.5s"]);
    }
}
