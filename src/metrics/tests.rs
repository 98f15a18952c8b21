use super::*;
use crate::fault::{Fault, FaultOwner, RetryOutlook};
use crate::model::Usage;

/// Returns the value of a sample, by its name and labels as they are printed.
fn value(text: &str, sample: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

fn text(metrics: &Metrics) -> String {
    metrics.render(&ServiceState::default())
}

#[test]
fn what_may_be_counted_is_there_from_the_start_and_zero() {
    let text = text(&Metrics::default());
    for sample in [
        "mynah_webhook_acks_total{event=\"message\"}",
        "mynah_webhook_rejects_total{cause=\"signature\"}",
        "mynah_messages_received_total{outcome=\"queued\",source=\"catch_up\"}",
        "mynah_turn_duration_seconds_count{reply=\"apology\"}",
        "mynah_sends_total{code=\"none\",outcome=\"failed\"}",
        "mynah_cache_lookups_total{result=\"hit\"}",
    ] {
        assert_eq!(value(&text, sample), Some(0.0), "{sample}\n{text}");
    }
    let version = concat!("mynah_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
    assert_eq!(value(&text, version), Some(1.0));
}

#[test]
fn each_label_of_the_webhooks_counts_its_own() {
    let metrics = Metrics::default();
    let causes = [
        (RejectCause::Signature, "signature"),
        (RejectCause::RateLimit, "rate_limit"),
        (RejectCause::NotConfigured, "not_configured"),
        (RejectCause::Malformed, "malformed"),
        (RejectCause::TooLarge, "too_large"),
        (RejectCause::Incomplete, "incomplete"),
        (RejectCause::Timeout, "timeout"),
        (RejectCause::NotOurs, "not_ours"),
        (RejectCause::Database, "database"),
    ];
    for (times, (cause, _)) in causes.iter().enumerate() {
        (0..=times).for_each(|_| metrics.webhooks.record_reject(*cause));
    }
    metrics.webhooks.record_ack(WebhookKind::Status, std::time::Duration::from_millis(3));
    let text = text(&metrics);
    let mut expected = 0.0;
    for (_, name) in causes {
        expected += 1.0;
        let sample = format!("mynah_webhook_rejects_total{{cause=\"{name}\"}}");
        assert_eq!(value(&text, &sample), Some(expected), "{name}");
    }
    assert_eq!(value(&text, "mynah_webhook_acks_total{event=\"status\"}"), Some(1.0));
    assert_eq!(value(&text, "mynah_webhook_acks_total{event=\"message\"}"), Some(0.0));
    let bucket = |bound: &str| {
        value(&text, &format!("mynah_webhook_ack_duration_seconds_bucket{{event=\"status\",le=\"{bound}\"}}"))
    };
    assert_eq!((bucket("0.0025"), bucket("0.005"), bucket("+Inf")), (Some(0.0), Some(1.0), Some(1.0)));
}

#[test]
fn a_call_counts_under_its_outcome_and_a_dropped_one_as_canceled() {
    let metrics = Metrics::default();
    let retry = |outlook| Some(Fault::Retry { retry_after: None, why: String::new(), outlook });
    let outcomes = [
        (None, "ok"),
        (retry(RetryOutlook::Overload), "overload"),
        (retry(RetryOutlook::Timeout), "timeout"),
        (retry(RetryOutlook::Likely), "error"),
        (Some(Fault::TooLong { why: String::new() }), "too_long"),
        (Some(Fault::fail(FaultOwner::Operator, "")), "operator"),
        (Some(Fault::fail(FaultOwner::Message, "")), "refused"),
    ];
    for (failure, _) in &outcomes {
        metrics.model_calls.begin("openai m", Some("m")).end(failure.as_ref());
    }
    let running = metrics.model_calls.begin("openai m", Some("m"));
    running.record_usage(Usage { input_tokens: 20, output_tokens: 3, estimated: false }, 2_500_000);
    let labels = "model=\"m\",provider=\"openai\"";
    let in_flight = format!("mynah_ai_calls_in_flight{{{labels}}}");
    assert_eq!(value(&text(&metrics), &in_flight), Some(1.0));
    drop(running);
    let text = text(&metrics);
    for outcome in outcomes.iter().map(|(_, outcome)| *outcome).chain(["canceled"]) {
        let sample = format!("mynah_ai_calls_total{{model=\"m\",outcome=\"{outcome}\",provider=\"openai\"}}");
        assert_eq!(value(&text, &sample), Some(1.0), "{outcome}\n{text}");
    }
    assert_eq!(value(&text, &in_flight), Some(0.0));
    assert_eq!(value(&text, &format!("mynah_ai_call_duration_seconds_count{{{labels}}}")), Some(7.0));
    assert_eq!(value(&text, &format!("mynah_ai_cost_dollars_total{{{labels}}}")), Some(2.5));
    for (kind, tokens) in [("input", 20.0), ("output", 3.0)] {
        let sample = format!("mynah_ai_tokens_total{{kind=\"{kind}\",model=\"m\",provider=\"openai\"}}");
        assert_eq!(value(&text, &sample), Some(tokens));
    }
}

#[test]
fn label_values_from_outside_are_bounded() {
    let metrics = Metrics::default();
    let failed = Fault::fail(FaultOwner::Message, "");
    for code in 0..1_000 {
        metrics.sends.record(Some((&failed, Some(code))), std::time::Duration::ZERO);
        metrics.deliveries.record("failed", Some(code));
        metrics.model_calls.begin("openai m", Some(&format!("model-{code}"))).end(None);
    }
    let text = text(&metrics);
    for (family, most) in [
        ("mynah_sends_total{code=\"", 107),
        ("mynah_delivery_statuses_total{code=\"", 101),
        ("mynah_ai_calls_total{model=\"", 51),
    ] {
        let samples: Vec<_> = text.lines().filter(|line| line.starts_with(family)).collect();
        assert_eq!(samples.len(), most, "{family}");
        assert!(samples.iter().any(|line| line.starts_with(&format!("{family}other\""))), "{family}");
    }
    assert_eq!(value(&text, "mynah_sends_total{code=\"other\",outcome=\"failed\"}"), Some(900.0));
}

#[test]
fn what_cannot_be_read_is_absent_and_comes_back() {
    let metrics = Metrics::default();
    let job = JobState { job: "catch_up".into(), last_run_at: Time(1_793_527_200_500), failed: true };
    let circuit = |is_open| CircuitState { name: "openai m".into(), model: Some("m".into()), is_open };
    let queue = QueueState {
        turns: vec![("open", 3), ("running", 1)],
        oldest_turn_age_ms: 1_500,
        failed_turns: vec![("dead", 2)],
        unknown_parts: 4,
        undelivered_parts: 5,
    };
    let known = ServiceState {
        database_is_up: true,
        queue: Some(queue),
        database_bytes: Some(4096),
        wal_bytes: Some(0),
        disk_available_bytes: Some(10),
        disk_size_bytes: Some(20),
        jobs: vec![job],
        // Two numbers may ask one model.
        circuits: vec![circuit(true), circuit(false)],
        transcription_model: None,
    };
    let samples = [
        ("mynah_queue_turns{state=\"open\"}", 3.0),
        ("mynah_queue_oldest_turn_age_seconds", 1.5),
        ("mynah_failed_turns{state=\"dead\"}", 2.0),
        ("mynah_unknown_parts", 4.0),
        ("mynah_undelivered_parts", 5.0),
        ("mynah_database_size_bytes", 4096.0),
        ("mynah_database_wal_size_bytes", 0.0),
        ("mynah_disk_available_bytes", 10.0),
        ("mynah_disk_size_bytes", 20.0),
        ("mynah_job_last_run_timestamp_seconds{job_name=\"catch_up\"}", 1_793_527_200.5),
        ("mynah_job_last_run_failed{job_name=\"catch_up\"}", 1.0),
        ("mynah_ai_circuit_open{model=\"m\",provider=\"openai\"}", 1.0),
    ];
    for state in [known.clone(), ServiceState::default(), known] {
        let text = metrics.render(&state);
        for (sample, shown) in samples {
            assert_eq!(value(&text, sample), state.database_is_up.then_some(shown), "{sample}");
        }
        assert_eq!(value(&text, "mynah_database_up"), Some(f64::from(u8::from(state.database_is_up))));
    }
}

/// Prometheus sees an increase only from one sample to the next.
#[test]
fn a_configured_model_is_counted_from_zero() {
    let circuit = CircuitState { name: "openai m".into(), model: Some("m".into()), is_open: false };
    let transcription_model = Some("whisper-1".to_owned());
    let state = ServiceState { circuits: vec![circuit], transcription_model, ..ServiceState::default() };
    let text = Metrics::default().render(&state);
    for outcome in ["ok", "error", "timeout", "overload", "too_long", "refused", "operator", "canceled"] {
        let sample = format!("mynah_ai_calls_total{{model=\"m\",outcome=\"{outcome}\",provider=\"openai\"}}");
        assert_eq!(value(&text, &sample), Some(0.0), "{sample}");
        let sample = sample.replace("model=\"m\"", "model=\"whisper-1\"").replace("\"openai\"", "\"transcription\"");
        assert_eq!(value(&text, &sample), Some(0.0), "{sample}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_is_described_under_the_usual_names() {
    let metrics = Metrics::default();
    let first = text(&metrics);
    for (name, least) in [
        ("process_resident_memory_bytes", 1e6),
        ("process_virtual_memory_bytes", 1e6),
        ("process_open_fds", 3.0),
        ("process_max_fds", 3.0),
        ("process_threads", 1.0),
        ("process_cpu_seconds_total", 0.0),
        // 2020; a time in milliseconds or since the boot would lie elsewhere.
        ("process_start_time_seconds", 1.58e9),
    ] {
        let value = value(&first, name).unwrap_or_else(|| panic!("{name} is missing:\n{first}"));
        assert!((least..1e15).contains(&value), "{name} {value}");
    }
    assert!(value(&first, "process_start_time_seconds").unwrap() < 1e11);
    let cpu = |text: &str| value(text, "process_cpu_seconds_total").unwrap();
    assert!(cpu(&text(&metrics)) >= cpu(&first), "a counter never falls");
}
