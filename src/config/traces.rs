//! Traces by the standard variables `OTEL_*`, which many programs share: they are no settings of this one, and there is
//! nothing of them in its file. Without an endpoint nothing is traced, and none of them is looked at.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::environment::Variables;
use crate::telemetry::{Sampling, TracesConfig};

/// What the standard says for what is not given.
const TIMEOUT: Duration = Duration::from_secs(10);
const QUEUE: u64 = 2048;
const BATCH: u64 = 512;
const DELAY: Duration = Duration::from_secs(5);

/// # Errors
/// All variables that cannot be followed.
pub fn read(variables: &Variables) -> Result<Option<TracesConfig>, Vec<String>> {
    let given = Given { variables, problems: Vec::new() };
    let disabled = given.text("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let endpoint = given.either("ENDPOINT");
    match endpoint {
        Some((_, endpoint)) if !disabled && given.text("OTEL_TRACES_EXPORTER").as_deref() != Some("none") => {
            given.read(endpoint).map(Some)
        }
        _ => Ok(None),
    }
}

struct Given<'a> {
    variables: &'a Variables,
    problems: Vec<String>,
}

impl Given<'_> {
    /// What is empty is as if it were not set, says the standard.
    fn text(&self, name: &str) -> Option<String> {
        let (_, value) = self.variables.iter().find(|(variable, _)| variable == name)?;
        Some(value.to_string_lossy().trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// The variable for traces alone, or else the one for all signals; with its name.
    fn either(&self, what: &str) -> Option<(String, String)> {
        let names = [format!("OTEL_EXPORTER_OTLP_TRACES_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")];
        names.into_iter().find_map(|name| self.text(&name).map(|text| (name, text)))
    }

    fn read(mut self, endpoint: String) -> Result<TracesConfig, Vec<String>> {
        self.refuse_what_is_not_spoken(&endpoint);
        let (follow_caller, sampling) = self.sampling();
        let attributes = self.attributes();
        let config = TracesConfig {
            endpoint,
            ca_file: self.either("CERTIFICATE").map(|(_, path)| path.into()),
            timeout: self.timeout(),
            sampling,
            follow_caller,
            propagate: self.propagate(),
            service_name: self.service_name(&attributes),
            attributes,
            queue: self.count("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE),
            batch: self.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH),
            delay: self.millis("OTEL_BSP_SCHEDULE_DELAY", DELAY),
        };
        if self.problems.is_empty() { Ok(config) } else { Err(self.problems) }
    }

    fn refuse_what_is_not_spoken(&mut self, endpoint: &str) {
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            let names = "OTEL_EXPORTER_OTLP_ENDPOINT, or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
            self.problems.push(format!("{names}, is no URL; give one such as http://collector:4317"));
        }
        if let Some((name, protocol)) = self.either("PROTOCOL").filter(|(_, protocol)| protocol != "grpc") {
            let remedy = "set it to grpc, and the endpoint to the collector's port for that, usually 4317";
            self.problems.push(format!("{name} is {protocol}, and only grpc is spoken here; {remedy}"));
        }
        if let Some((name, kind)) = self.either("COMPRESSION").filter(|(_, kind)| !["none", "gzip"].contains(&&**kind))
        {
            self.problems.push(format!("{name} is {kind}; set it to gzip or none"));
        }
        if let Some(exporter) = self.text("OTEL_TRACES_EXPORTER").filter(|exporter| exporter != "otlp") {
            self.problems.push(format!("OTEL_TRACES_EXPORTER is {exporter}; set it to otlp or none"));
        }
    }

    /// Whether the caller's decision is followed, and what is decided without one.
    fn sampling(&mut self) -> (bool, Sampling) {
        let sampler = self.text("OTEL_TRACES_SAMPLER").unwrap_or_else(|| "parentbased_always_on".to_owned());
        let (follow, root) = sampler.strip_prefix("parentbased_").map_or((false, &*sampler), |root| (true, root));
        let sampling = match root {
            "always_on" => Sampling::Always,
            "always_off" => Sampling::Never,
            "traceidratio" => Sampling::Share(self.share()),
            _ => {
                let known = "always_on, always_off, traceidratio, or one of these with parentbased_ before it";
                self.problems.push(format!("OTEL_TRACES_SAMPLER is {sampler}; set it to {known}"));
                Sampling::Always
            }
        };
        (follow, sampling)
    }

    fn share(&mut self) -> f64 {
        let Some(text) = self.text("OTEL_TRACES_SAMPLER_ARG") else { return 1.0 };
        match text.parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => share,
            _ => {
                self.problems.push("OTEL_TRACES_SAMPLER_ARG is no share; set it to 0 to 1, as 0.1".to_owned());
                1.0
            }
        }
    }

    /// Baggage is accepted and passed on to nobody: it is the callers' own, and vendors are strangers to them.
    fn propagate(&mut self) -> bool {
        let text = self.text("OTEL_PROPAGATORS").unwrap_or_else(|| "tracecontext,baggage".to_owned());
        let mut propagate = false;
        for one in text.split(',').map(str::trim) {
            match one {
                "tracecontext" => propagate = true,
                "baggage" | "none" => {}
                _ => {
                    let known = "only tracecontext and none are known here";
                    self.problems.push(format!("OTEL_PROPAGATORS has {one}; {known}"));
                }
            }
        }
        propagate
    }

    fn timeout(&mut self) -> Duration {
        let name = self.either("TIMEOUT").map(|(name, _)| name);
        name.map_or(TIMEOUT, |name| self.millis(&name, TIMEOUT))
    }

    fn number(&mut self, name: &str) -> Option<u64> {
        let text = self.text(name)?;
        let number = text.parse::<u64>().ok().filter(|number| *number > 0);
        if number.is_none() {
            self.problems.push(format!("{name} is no whole number above 0; correct it"));
        }
        number
    }

    fn count(&mut self, name: &str, default: u64) -> usize {
        usize::try_from(self.number(name).unwrap_or(default).min(1 << 20)).unwrap_or(1)
    }

    fn millis(&mut self, name: &str, default: Duration) -> Duration {
        self.number(name).map_or(default, Duration::from_millis)
    }

    fn attributes(&mut self) -> Vec<(String, String)> {
        let text = self.text("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let mut attributes = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                self.problems.push("OTEL_RESOURCE_ATTRIBUTES is no list; write it as name=value,name=value".to_owned());
                break;
            };
            let value = percent_decode_str(value.trim()).decode_utf8_lossy().into_owned();
            attributes.push((name.trim().to_owned(), value));
        }
        attributes
    }

    /// Its own variable wins over the attribute.
    fn service_name(&self, attributes: &[(String, String)]) -> String {
        let attribute = || attributes.iter().find(|(name, _)| name == "service.name").map(|(_, value)| value.clone());
        self.text("OTEL_SERVICE_NAME").or_else(attribute).unwrap_or_else(|| "modelward".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<TracesConfig>, Vec<String>> {
        super::read(&variables.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect())
    }

    const AT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317");

    #[test]
    fn nothing_is_traced_without_an_endpoint_or_when_that_is_switched_off() {
        for off in [
            &[][..],
            &[("OTEL_SERVICE_NAME", "x"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[AT, ("OTEL_SDK_DISABLED", "TRUE")],
            &[AT, ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert_eq!(read(off), Ok(None), "{off:?}");
        }
    }

    #[test]
    fn the_standards_defaults_hold_and_its_variables_win_in_its_order() {
        let plain = read(&[AT]).unwrap().unwrap();
        assert_eq!((plain.endpoint.as_str(), plain.service_name.as_str()), ("http://c:4317", "modelward"));
        assert!(plain.propagate && plain.follow_caller && plain.sampling == Sampling::Always);
        assert_eq!((plain.timeout, plain.queue, plain.ca_file), (Duration::from_secs(10), 2048, None));
        let given = [
            AT,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t:1"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other, deployment.environment.name=a%20b"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_PROPAGATORS", "none"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ];
        let config = read(&given).unwrap().unwrap();
        assert_eq!((config.endpoint.as_str(), config.service_name.as_str()), ("https://t:1", "other"));
        assert_eq!(config.ca_file, Some("ca.pem".into()));
        assert_eq!((config.timeout, config.delay), (Duration::from_millis(250), Duration::from_millis(50)));
        assert!(!config.propagate && !config.follow_caller && config.sampling == Sampling::Share(0.25));
        assert_eq!(config.attributes[1], ("deployment.environment.name".to_owned(), "a b".to_owned()));
        let named = read(&[&given[..], &[("OTEL_SERVICE_NAME", "mine")]].concat()).unwrap().unwrap();
        assert_eq!(named.service_name, "mine");
    }

    #[test]
    fn what_is_not_spoken_is_refused_with_a_remedy() {
        for (variable, word) in [
            (("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), "set it to grpc"),
            (("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317"), "http://collector:4317"),
            (("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"), "gzip or none"),
            (("OTEL_TRACES_EXPORTER", "zipkin"), "otlp or none"),
            (("OTEL_TRACES_SAMPLER", "jaeger_remote"), "always_on"),
            (("OTEL_TRACES_SAMPLER_ARG", "2"), "0 to 1"),
            (("OTEL_PROPAGATORS", "b3"), "tracecontext"),
            (("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"), "whole number"),
            (("OTEL_RESOURCE_ATTRIBUTES", "x"), "name=value"),
        ] {
            let more = [AT, ("OTEL_TRACES_SAMPLER", "traceidratio")];
            let given: Vec<_> = more.into_iter().filter(|(name, _)| *name != variable.0).chain([variable]).collect();
            let problems = read(&given).unwrap_err();
            assert!(problems.len() == 1 && problems[0].contains(word), "{variable:?}: {problems:?}");
        }
    }
}
