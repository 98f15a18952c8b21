//! Judges what `/metrics` returns: by Prometheus's own `promtool`, and for what `promtool` overlooks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The program, from the PATH or from where `tests/run` unpacks it.
fn promtool() -> Command {
    let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prometheus/usr/bin/promtool");
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let found = on_path.map(|folder| folder.join("promtool")).chain([unpacked]).find(|path| path.is_file());
    Command::new(found.expect("promtool, of the package prometheus, is installed: tests/run does that"))
}

/// Runs `promtool` with these arguments in a folder. Panics with what it says unless it is content.
#[track_caller]
pub fn assert_promtool_accepts(arguments: &[&str], folder: &Path) {
    let output = promtool().args(arguments).current_dir(folder).stdin(Stdio::null()).output().expect("it starts");
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {arguments:?}: {}\n{out}{error}", output.status);
}

/// Has `promtool` judge what `/metrics` returned.
#[track_caller]
pub fn assert_promtool_accepts_metrics(text: &str) {
    let mut command = promtool();
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads everything");
    let output = child.wait_with_output().expect("its output is read");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "promtool: {}\n{error}\n{text}", output.status);
}

/// The names of the families in a text, as their TYPE lines say.
pub fn families(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// What `promtool check metrics` does not find: the same sample twice, a family in two places, a histogram without
/// `+Inf`, or one whose `+Inf` is not its count.
pub fn overlooked_problems(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let (mut samples, mut headers) = (BTreeMap::new(), BTreeSet::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if line.starts_with("# ") {
            let header: String = line.split(' ').take(3).collect::<Vec<_>>().join(" ");
            if !headers.insert(header.clone()) {
                problems.push(format!("{header} stands twice"));
            }
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap_or((line, ""));
        if samples.insert(sample, value).is_some() {
            problems.push(format!("{sample} stands twice"));
        }
    }
    let histograms = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" histogram"));
    for name in histograms {
        let counts = samples.iter().filter_map(|(sample, value)| {
            let labels = sample.strip_prefix(name)?.strip_prefix("_count")?;
            Some((labels, value))
        });
        for (labels, count) in counts {
            let labels = labels.trim_matches(['{', '}']);
            let comma = if labels.is_empty() { "" } else { "," };
            let last = format!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}}");
            if samples.get(last.as_str()) != Some(count) {
                problems.push(format!("{last} is missing or not the count"));
            }
        }
    }
    problems
}

#[test]
fn the_check_finds_what_promtool_overlooks() {
    let good = "# HELP a A.\n# TYPE a histogram\na_bucket{x=\"1\",le=\"1\"} 0\na_bucket{x=\"1\",le=\"+Inf\"} 2\n\
                a_sum{x=\"1\"} 3\na_count{x=\"1\"} 2\n# TYPE b_total counter\nb_total 1\n";
    assert_eq!(overlooked_problems(good), [""; 0]);
    assert_eq!(families(good), ["a".to_owned(), "b_total".to_owned()].into());
    for (bad, found) in [
        (format!("{good}b_total 2\n"), 1),
        (format!("{good}# TYPE b_total counter\n"), 1),
        (good.replace("a_bucket{x=\"1\",le=\"+Inf\"} 2\n", ""), 1),
        (good.replace("+Inf\"} 2", "+Inf\"} 1"), 1),
    ] {
        assert_eq!(overlooked_problems(&bad).len(), found, "{bad}");
    }
}
