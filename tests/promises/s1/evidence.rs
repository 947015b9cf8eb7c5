//! Everything that a run leaves behind, piece by piece.

use std::fmt::Debug;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use prost::Message;
use tonic::metadata::{KeyAndValueRef, MetadataMap};
use tonic::{Response, Status};

use super::canary::Finder;

/// Places with what was found there.
#[derive(Default)]
pub struct Evidence(Vec<(String, Vec<u8>)>);

impl Evidence {
    pub fn add(&mut self, place: &str, content: impl Into<Vec<u8>>) {
        self.0.push((place.to_owned(), content.into()));
    }

    /// An answer as it was sent and as it is printed, or an error with all that it carries.
    pub fn told<T: Message + Debug>(&mut self, answer: Result<Response<T>, Status>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.metadata(answer.metadata());
                self.add("an answer", answer.get_ref().encode_to_vec());
                self.add("a printed answer", format!("{:?}", answer.get_ref()));
                Some(answer.into_inner())
            }
            Err(status) => {
                self.refused(&status);
                None
            }
        }
    }

    pub fn refused(&mut self, status: &Status) {
        self.metadata(status.metadata());
        self.add("an error", format!("{status:?} {}", status.message()));
        self.add("details of an error", status.details());
    }

    pub fn metadata(&mut self, metadata: &MetadataMap) {
        for pair in metadata.iter() {
            let text = match pair {
                KeyAndValueRef::Ascii(key, value) => [key.as_str().as_bytes(), value.as_encoded_bytes()].concat(),
                KeyAndValueRef::Binary(key, value) => {
                    [key.as_str().as_bytes(), &value.to_bytes().unwrap_or_default()].concat()
                }
            };
            self.add("metadata", text);
        }
    }

    /// What the listener for operators tells.
    pub fn operations(&mut self, address: SocketAddr) {
        for path in ["/metrics", "/health", "/readyz", "/livez"] {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
            let mut content = Vec::new();
            stream.read_to_end(&mut content).unwrap();
            assert!(content.len() > 50, "{path}");
            self.add(path, content);
        }
    }

    /// Every file of a directory, but those that hold a secret by their purpose.
    pub fn directory(&mut self, directory: &Path) {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_file() && name != "admin.token" {
                self.add(&format!("the file {name}"), fs::read(entry.path()).unwrap());
            }
        }
    }

    /// The places where something is found, each with what it is.
    pub fn search(&self, finder: &Finder) -> Vec<(String, String)> {
        let found = |(place, content): &(String, Vec<u8>)| Some((place.clone(), finder.find(content)?));
        self.0.iter().filter_map(found).collect()
    }

    pub fn size(&self, place: &str) -> usize {
        self.0.iter().filter(|(name, _)| name == place).map(|(_, content)| content.len()).sum()
    }
}
