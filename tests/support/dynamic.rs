//! Calls by name with encoded messages, and the API as its descriptor tells it.

use bytes::Bytes;
use modelward::proto;
use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::raw::RawCodec;

/// The one method that answers with a stream.
const STREAM: &str = "WatchService/Watch";

/// Calls `package.Service/Method`; of a stream the first message counts.
pub async fn call(
    channel: &Channel,
    rpc: &str,
    token: Option<&str>,
    message: Bytes,
) -> Result<Response<Bytes>, Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let path = format!("/{rpc}").parse().unwrap();
    if !rpc.ends_with(STREAM) {
        return grpc.unary(request, path, RawCodec).await;
    }
    let (metadata, mut messages, extensions) = grpc.server_streaming(request, path, RawCodec).await?.into_parts();
    let first = messages.message().await?.expect("a first message");
    Ok(Response::from_parts(metadata, first, extensions))
}

/// The files of the public API.
pub fn files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(proto::DESCRIPTOR).unwrap();
    set.file.into_iter().filter(|file| file.package() == "modelward.v1").collect()
}

/// Every RPC of the public API, as `package.Service/Method`.
pub fn rpcs() -> Vec<String> {
    files()
        .iter()
        .flat_map(|file| {
            file.service.iter().flat_map(|service| {
                service.method.iter().map(|method| format!("{}.{}/{}", file.package(), service.name(), method.name()))
            })
        })
        .collect()
}

/// A message of the public API, with the comments of its fields in order.
pub fn message(name: &str) -> (DescriptorProto, Vec<String>) {
    /// Numbers of `FileDescriptorProto.message_type` and `DescriptorProto.field`, as source locations have them.
    const MESSAGE: i32 = 4;
    const FIELD: i32 = 2;
    for file in files() {
        let Some(place) = file.message_type.iter().position(|message| message.name() == name) else { continue };
        let message = file.message_type[place].clone();
        let place = i32::try_from(place).unwrap();
        let info = file.source_code_info.unwrap_or_default();
        let comment = |field: usize| {
            let path = [MESSAGE, place, FIELD, i32::try_from(field).unwrap()];
            let location = info.location.iter().find(|location| location.path == path);
            location.map(|location| location.leading_comments().trim().to_owned()).unwrap_or_default()
        };
        let comments = (0..message.field.len()).map(comment).collect();
        return (message, comments);
    }
    panic!("no message {name}");
}
