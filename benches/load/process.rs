//! What the kernel tells of a process.

use std::time::Duration;

use anyhow::Context as _;

/// How long a tick of /proc lasts; Linux has had a hundred a second for ever.
const TICK: Duration = Duration::from_millis(10);

/// A process as `/proc/<pid>/stat` tells of it. The tests' cluster asks for it too.
pub struct Stat {
    pub is_stopped: bool,
    pub parent: u32,
    /// What all threads have computed, in user and system mode.
    cpu: Duration,
}

/// None: there is no such process.
pub fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold blanks.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u32>().ok();
    Some(Stat { is_stopped: fields.first() == Some(&"T"), parent: number(1)?, cpu: TICK * (number(11)? + number(12)?) })
}

/// Time that all threads of the process have computed.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    Ok(stat(pid).context("the process is gone")?.cpu)
}

/// Memory that is resident, in bytes.
pub fn memory(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Sockets that are open.
pub fn sockets(pid: u32) -> anyhow::Result<usize> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd"))?;
    let is_socket = |path: &std::path::Path| {
        std::fs::read_link(path).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    Ok(files.flatten().filter(|file| is_socket(&file.path())).count())
}
