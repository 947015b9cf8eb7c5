//! The cases, by name.

use anyhow::bail;

mod accounts;
mod memory;
mod pages;
mod probes;
mod reads;
mod sizes;
mod storm;
mod sync;
mod targets;
mod visibility;
mod watch;
mod writes;

type Case = fn() -> anyhow::Result<()>;

const CASES: [(&str, Case); 12] = [
    ("reads", reads::run),
    ("targets", targets::run),
    ("pages", pages::run),
    ("writes", writes::run),
    ("visibility", visibility::run),
    ("watch", watch::run),
    ("storm", storm::run),
    ("sizes", sizes::run),
    ("memory", memory::run),
    ("accounts", accounts::run),
    ("sync", sync::run),
    ("probes", probes::run),
];

/// Runs the named cases, all of them without a name.
pub fn run(names: &[&str]) -> anyhow::Result<()> {
    if let Some(unknown) = names.iter().find(|name| !CASES.iter().any(|(known, _)| known == *name)) {
        let known: Vec<_> = CASES.iter().map(|(name, _)| *name).collect();
        bail!("no case {unknown}; there are {}", known.join(", "));
    }
    for (name, case) in CASES.iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
        eprintln!("{name}");
        case()?;
    }
    Ok(())
}
