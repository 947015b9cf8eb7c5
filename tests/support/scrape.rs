//! What `/metrics` tells, as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// One line with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// A page of metrics.
#[derive(Debug)]
pub struct Scrape {
    pub samples: Vec<Sample>,
    /// The families with their types, as they are declared.
    pub types: BTreeMap<String, String>,
}

/// A metric as documentation has it: the name by which it is asked for, its type, its labels.
pub type Described = (String, String, BTreeSet<String>);

impl Scrape {
    /// Asks a listener for operators.
    pub fn of(ops: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(ops).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: ops\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        Self::read(answer.split_once("\r\n\r\n").unwrap().1)
    }

    /// # Panics
    /// When it is not in the text form of OpenMetrics.
    pub fn read(page: &str) -> Self {
        assert!(page.ends_with("# EOF\n"), "{page}");
        let mut scrape = Self { samples: Vec::new(), types: BTreeMap::new() };
        for line in page.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').unwrap();
                assert_eq!(scrape.types.insert(name.to_owned(), kind.to_owned()), None, "declared twice: {name}");
            } else if !line.starts_with('#') {
                scrape.samples.push(sample(line));
            }
        }
        scrape
    }

    /// The value of the one sample with this name and these labels among its own.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &&Sample| {
            let labels = labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|had| had == value));
            sample.name == name && labels
        };
        let found: Vec<_> = self.samples.iter().filter(has).collect();
        assert_eq!(found.len(), 1, "{name}{labels:?}: {found:?}");
        found[0].value
    }

    /// The same of one that counts.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> i64 {
        format!("{:.0}", self.value(name, labels)).parse().unwrap()
    }

    /// Every metric, under the name by which it is asked for.
    pub fn described(&self) -> BTreeSet<Described> {
        let describe = |(family, kind): (&String, &String)| {
            let ends: &[&str] = match kind.as_str() {
                "counter" => &["_total"],
                "info" => &["_info"],
                "histogram" => &["_bucket", "_count", "_sum"],
                _ => &[""],
            };
            let names: Vec<_> = ends.iter().map(|end| format!("{family}{end}")).collect();
            let own = self.samples.iter().filter(|sample| names.contains(&sample.name));
            let labels = own.flat_map(|sample| sample.labels.keys()).filter(|label| *label != "le").cloned().collect();
            let name = if kind == "histogram" { family.clone() } else { names[0].clone() };
            (name, kind.clone(), labels)
        };
        self.types.iter().map(describe).collect()
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.strip_suffix('}').map_or((series, ""), |series| series.split_once('{').unwrap());
    let labels = labels.split("\",").filter(|label| !label.is_empty()).map(|label| {
        let (name, value) = label.split_once("=\"").unwrap();
        (name.to_owned(), value.trim_end_matches('"').to_owned())
    });
    Sample { name: name.to_owned(), labels: labels.collect(), value: value.parse().unwrap() }
}
