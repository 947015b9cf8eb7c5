//! Compiles `proto/` without protoc: messages, clients and servers, and the two descriptor sets that the program embeds.
//!
//! The servers are compiled apart, into `server/`: their reads answer with resources that are encoded already
//! (`wire::page::RawPage` and `RawAnswer`, `wire::watch::RawWatch`), while clients and tests see the declared messages.
//!
//! `descriptor.bin` holds every file with its comments. `reflection.bin` leaves out the internal packages, because
//! reflection serves it.

use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

use prost::Message as _;

/// Packages below this one describe what is stored; clients never see them.
const INTERNAL: &str = "modelward.storage";

/// Messages with a plain secret of their own; `src/proto.rs` writes their `Debug` by hand.
const SECRET_MESSAGES: [&str; 2] = [".modelward.v1.CredentialSecret", ".modelward.v1.CreateTokenResponse"];

/// Lists of resources whose encodings are kept: their answers have the same numbers for the same fields.
const RAW_PAGES: [&str; 6] = [
    ".modelward.v1.ListProvidersResponse",
    ".modelward.v1.ListEndpointsResponse",
    ".modelward.v1.ListCredentialsResponse",
    ".modelward.v1.ListModelsResponse",
    ".modelward.v1.ListModelsByCapabilityResponse",
    ".modelward.v1.ListBindingsResponse",
];

/// Reads of one resource, which is the only field of their answers.
const RAW_ANSWERS: [&str; 5] = [
    ".modelward.v1.GetBindingResponse",
    ".modelward.v1.GetEndpointResponse",
    ".modelward.v1.GetModelResponse",
    ".modelward.v1.GetProviderResponse",
    ".modelward.v1.PickEndpointResponse",
];

/// The answer of `ResolveTarget`: it carries two encoded resources.
const RAW_RESOLUTION: (&str, &str) = (".modelward.v1.ResolveTargetResponse", "crate::wire::target::RawResolution");

/// The service of streams, which are many and say little at a time: its server has a codec with smaller buffers.
const WATCH: &str = "modelward/v1/watch.proto";

#[expect(clippy::disallowed_methods, reason = "Cargo tells a build script by its environment")]
fn main() -> Result<(), Box<dyn Error>> {
    for input in ["build.rs", "proto", "migrations"] {
        println!("cargo:rerun-if-changed={input}");
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(proto_files(Path::new("proto"))?)?;
    let all = compiler.file_descriptor_set();

    let mut public = all.clone();
    public.file.retain(|file| !file.package().starts_with(INTERNAL));
    fs::write(out.join("descriptor.bin"), all.encode_to_vec())?;
    fs::write(out.join("reflection.bin"), public.encode_to_vec())?;

    tonic_prost_build::configure()
        .btree_map(".")
        .bytes(".")
        .skip_debug(SECRET_MESSAGES)
        .build_server(false)
        .emit_rerun_if_changed(false)
        .compile_fds(all)?;

    let (mut streams, mut calls) = (public.clone(), public);
    streams.file.iter_mut().filter(|file| file.name() != WATCH).for_each(|file| file.service.clear());
    calls.file.iter_mut().filter(|file| file.name() == WATCH).for_each(|file| file.service.clear());
    let watch = out.join("watch");
    fs::create_dir_all(&watch)?;
    tonic_prost_build::configure()
        .extern_path(".modelward.v1.WatchResponse", "crate::wire::watch::RawWatch")
        .extern_path(".modelward.v1", "crate::proto::v1")
        .codec_path("crate::wire::watch::StreamCodec")
        .build_client(false)
        .out_dir(watch)
        .emit_rerun_if_changed(false)
        .compile_fds(streams)?;

    let servers = out.join("server");
    fs::create_dir_all(&servers)?;
    let pages = RAW_PAGES.map(|answer| (answer, "crate::wire::page::RawPage"));
    let answers = RAW_ANSWERS.map(|answer| (answer, "crate::wire::page::RawAnswer"));
    pages
        .into_iter()
        .chain(answers)
        .chain([RAW_RESOLUTION])
        .fold(tonic_prost_build::configure(), |builder, (answer, raw)| builder.extern_path(answer, raw))
        .extern_path(".modelward.v1", "crate::proto::v1")
        .build_client(false)
        .out_dir(servers)
        .emit_rerun_if_changed(false)
        .compile_fds(calls)?;
    Ok(())
}

/// Lists the `.proto` files below a directory, in a fixed order, so that builds are reproducible.
fn proto_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(proto_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
