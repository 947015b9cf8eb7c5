//! What the system says about this process, under the names that all of Prometheus' clients use for it. Read when the
//! metrics are asked for; on systems without `/proc` they are not there.

use std::fmt::Error;
use std::fs;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// How many ticks of `/proc` a second has: a constant of Linux towards programs.
const TICKS: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Process;

impl Process {
    /// A registry without the prefix of this program.
    pub(super) fn registry() -> Arc<Registry> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Self));
        Arc::new(registry)
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        if let Some(seconds) = cpu_seconds() {
            let total = ConstCounter::new(seconds);
            let help = "Time of processors, of the program and of the system for it";
            let of = encoder.encode_descriptor("process_cpu_seconds", help, None, total.metric_type())?;
            total.encode(of)?;
        }
        let gauges = [
            ("process_resident_memory_bytes", "Memory that is held", memory("VmRSS:")),
            ("process_virtual_memory_bytes", "Memory that is addressed", memory("VmSize:")),
            ("process_start_time_seconds", "When it was started, in seconds since 1970", start_time()),
            ("process_open_fds", "Open file descriptors", open_files()),
            ("process_max_fds", "How many file descriptors may be open", most_files()),
        ];
        for (name, help, value) in gauges {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

/// The fields of `/proc/self/stat` behind the name, which may hold anything: the first one is the state.
fn stat() -> Option<Vec<String>> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    Some(text.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
}

fn cpu_seconds() -> Option<f64> {
    let stat = stat()?;
    let ticks = |field: usize| stat.get(field)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}

fn start_time() -> Option<f64> {
    let since_boot = stat()?.get(19)?.parse::<f64>().ok()? / TICKS;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot = system.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(boot.trim().parse::<f64>().ok()? + since_boot)
}

fn memory(field: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0)
}

fn open_files() -> Option<f64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the directory that was read.
    Some(f64::from(u32::try_from(open.saturating_sub(1)).ok()?))
}

fn most_files() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_knows_this_process() {
        assert!(memory("VmRSS:").unwrap() > 1e6);
        assert!(memory("VmSize:") >= memory("VmRSS:"));
        assert!(start_time().unwrap() > 1.7e9);
        assert!(cpu_seconds().unwrap() >= 0.0);
        assert!(open_files().unwrap() >= 3.0 && open_files() <= most_files());
    }
}
