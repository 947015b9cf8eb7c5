//! The chart's alerts name only metrics and labels that exist, and each has its paragraph in `docs/OPERATIONS.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::documented;

/// What Prometheus' operator adds to everything that the ServiceMonitor scrapes.
const ADDED: [&str; 4] = ["namespace", "service", "pod", "instance"];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn rule() -> String {
    read("helm/modelward/templates/prometheusrule.yaml")
}

/// The series that can be asked for, with their labels.
fn series() -> BTreeMap<String, BTreeSet<String>> {
    let mut series = BTreeMap::new();
    for (name, kind, labels) in documented() {
        if kind == "histogram" {
            let with_bound = labels.iter().cloned().chain(["le".to_owned()]).collect();
            series.insert(format!("{name}_bucket"), with_bound);
            series.insert(format!("{name}_count"), labels.clone());
            series.insert(format!("{name}_sum"), labels);
        } else {
            series.insert(name, labels);
        }
    }
    series
}

/// What is wrong with what an expression of the template selects.
fn wrong(template: &str, series: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (start, _) in template.match_indices("modelward_") {
        if template[..start].ends_with(is_name) {
            continue;
        }
        let rest = &template[start..];
        let name = &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())];
        let Some(labels) = series.get(name) else {
            found.push(format!("there is no {name}"));
            continue;
        };
        // The selector of all: `{ {{- $of -}} ,code=~"…"}`, or without more.
        let selector = rest[name.len()..].strip_prefix("{ {{- $of -}} ").and_then(|rest| Some(rest.split_once('}')?.0));
        let Some(selector) = selector else {
            found.push(format!("{name} is not limited to this release"));
            continue;
        };
        let matchers =
            selector.split("\",").map(|matcher| matcher.trim_start_matches(',')).filter(|one| !one.is_empty());
        for label in matchers.filter_map(|matcher| matcher.split(['=', '!']).next()) {
            if !labels.contains(label) && !ADDED.contains(&label) {
                found.push(format!("{name} has no label {label}"));
            }
        }
    }
    found
}

fn alerts(template: &str) -> Vec<&str> {
    template.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect()
}

#[test]
fn alerts_ask_only_for_what_a_server_tells() {
    let rule = rule();
    assert!(rule.matches("modelward_").count() >= 12 && alerts(&rule).len() >= 10);
    assert_eq!(wrong(&rule, &series()), Vec::<String>::new());
}

/// Alerts without a paragraph or without the way to it, and paragraphs without an alert.
fn unexplained(rule: &str, page: &str) -> Vec<String> {
    let (_, section) = page.split_once("\n## Alerts\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let told: BTreeSet<_> = section.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let fired: BTreeSet<_> = alerts(rule).into_iter().collect();
    let linked = |alert: &&&str| rule.contains(&format!("runbook: 'docs/OPERATIONS.md#{}'", alert.to_lowercase()));
    let unlinked = fired.iter().filter(|alert| !linked(alert));
    told.symmetric_difference(&fired).chain(unlinked).map(ToString::to_string).collect()
}

#[test]
fn each_alert_leads_to_its_paragraph() {
    let (rule, page) = (rule(), read("docs/OPERATIONS.md"));
    assert_eq!(unexplained(&rule, &page), Vec::<String>::new());
    let seeded = rule.replace("alert: ModelwardGone", "alert: ModelwardLost");
    assert_eq!(unexplained(&seeded, &page), ["ModelwardGone", "ModelwardLost", "ModelwardLost"]);
}

#[test]
fn an_alert_on_what_is_not_there_is_noticed() {
    let seeded = [
        ("expr: modelward_store_upp{ {{- $of -}} } == 0", "there is no modelward_store_upp"),
        ("expr: rate(modelward_panics{ {{- $of -}} }[5m])", "there is no modelward_panics"),
        ("expr: modelward_store_up{ {{- $of -}} ,kind=\"x\"} == 0", "modelward_store_up has no label kind"),
        ("expr: modelward_store_up == 0", "modelward_store_up is not limited to this release"),
    ];
    for (expression, expected) in seeded {
        assert_eq!(wrong(expression, &series()), [expected]);
    }
}
