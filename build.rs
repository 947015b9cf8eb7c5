//! Compiles `proto/` without protoc: messages, servers and clients, and the two descriptor sets that the program embeds.
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
        .emit_rerun_if_changed(false)
        .compile_fds(all)?;
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
