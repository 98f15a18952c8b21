//! The dashboard and the alert rules that come with mynah, judged by Prometheus and by what `/metrics` exposes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::setup::exposition::{assert_promtool_accepts, families};
use crate::setup::server_process::ServerProcess;
use crate::setup::test_environment::TestEnvironment;

fn project_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn project_text(path: &str) -> String {
    fs::read_to_string(project_file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn dashboard() -> Value {
    serde_json::from_str(&project_text("packaging/grafana/mynah.json")).expect("the dashboard is JSON")
}

/// The queries of the panels and of the annotations.
fn dashboard_queries() -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("expr").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| collect(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(&dashboard(), &mut found);
    found
}

/// The metrics that a text names.
fn named_metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    let names = words.filter(|word| word.starts_with("mynah_") || word.starts_with("process_"));
    let family = |name: &str| {
        let suffix = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| name.strip_suffix(suffix));
        suffix.unwrap_or(name).to_owned()
    };
    names.map(family).collect()
}

#[test]
fn prometheus_accepts_the_alert_rules_and_their_tests() {
    let rules = project_file("packaging/prometheus");
    assert_promtool_accepts(&["check", "rules", "--lint=all", "--lint-fatal", "mynah.rules.yml"], &rules);
    assert_promtool_accepts(&["test", "rules", "mynah.rules.test.yml"], &rules);
}

#[test]
fn each_alert_is_tested_where_it_fires_and_where_it_does_not() {
    let rules = project_text("packaging/prometheus/mynah.rules.yml");
    let tests = project_text("packaging/prometheus/mynah.rules.test.yml");
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim_start().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in &alerts {
        for kind in ["fires", "is quiet"] {
            assert!(tests.contains(&format!("  - name: {alert} {kind}\n")), "no test in which {alert} {kind}");
        }
    }
    for part in ["severity: ", "summary: ", "description: "] {
        assert_eq!(rules.matches(part).count(), alerts.len(), "each alert has one {part}");
    }
}

/// The scrape configurations that the documentation shows.
#[test]
fn prometheus_accepts_the_documented_configurations() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    fs::copy(project_file("packaging/prometheus/mynah.rules.yml"), folder.path().join("mynah.rules.yml"))
        .expect("the rules are copied");
    let mut shown = 0;
    for page in ["packaging/README.md", "docs/monitoring.md"] {
        let text = project_text(page);
        for block in text.split("```yaml\n").skip(1) {
            let config = block.split("```").next().unwrap_or_default();
            fs::write(folder.path().join("prometheus.yml"), config).expect("the folder is writable");
            // The file with the token does not exist here.
            assert_promtool_accepts(&["check", "config", "--syntax-only", "prometheus.yml"], folder.path());
            if config.contains("rule_files") {
                assert_promtool_accepts(&["check", "config", "prometheus.yml"], folder.path());
            }
            shown += 1;
        }
    }
    assert_eq!(shown, 3);
}

#[test]
fn prometheus_understands_each_query_of_the_dashboard() {
    let queries = dashboard_queries();
    assert!(queries.len() > 30, "{queries:?}");
    let variables = [("$__rate_interval", "5m"), ("$__range", "24h"), ("$job", "mynah"), ("$instance", ".*")];
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (number, query) in queries.iter().enumerate() {
        let query = variables.iter().fold(query.clone(), |query, (name, value)| query.replace(name, value));
        assert!(!query.contains('$'), "an unknown variable: {query}");
        rules.push_str(&format!("  - record: query:{number}\n    expr: {}\n", serde_json::json!(query)));
    }
    let folder = tempfile::tempdir().expect("a folder can be made");
    fs::write(folder.path().join("queries.yml"), rules).expect("the folder is writable");
    assert_promtool_accepts(&["check", "rules", "queries.yml"], folder.path());
}

#[test]
fn the_panels_of_the_dashboard_do_not_overlap() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("there are panels");
    let mut taken = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a panel has a title");
        assert!(ids.insert(panel["id"].as_u64()), "{title}: its id is taken");
        let place = |key: &str| panel["gridPos"][key].as_u64().expect("a panel has a place");
        assert!(place("x") + place("w") <= 24, "{title} is outside the grid");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                if let Some(other) = taken.insert((x, y), title) {
                    panic!("{title} lies over {other}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_and_the_rules_name_only_metrics_that_are_exposed() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    environment.twilio.wait_until_idle().await;
    let (_, text) = server.get("/metrics").await.expect("an answer");
    let exposed = families(&text);
    for (source, text) in [
        ("the dashboard", dashboard_queries().join("\n")),
        ("the rules", project_text("packaging/prometheus/mynah.rules.yml")),
        ("the tests of the rules", project_text("packaging/prometheus/mynah.rules.test.yml")),
    ] {
        let named = named_metrics(&text);
        assert!(named.len() > 10, "{source}: {named:?}");
        let unknown: Vec<_> = named.difference(&exposed).collect();
        assert!(unknown.is_empty(), "{source} names {unknown:?}, which /metrics does not expose");
    }
}
