//! This process, under the names that all exporters for Prometheus use. Only Linux has them.

use prometheus::{Counter, GaugeVec, Opts, Registry};

use super::register;

/// The gauges of the process. One that the system does not tell is absent.
pub(super) struct ProcessGauges {
    cpu_seconds: Counter,
    open_fds: GaugeVec,
    max_fds: GaugeVec,
    resident: GaugeVec,
    virtual_memory: GaugeVec,
    threads: GaugeVec,
}

/// What the system tells about the process.
#[derive(Default)]
struct ProcessFacts {
    cpu_seconds: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
    resident_bytes: Option<f64>,
    virtual_bytes: Option<f64>,
    threads: Option<f64>,
}

impl ProcessGauges {
    pub(super) fn register(registry: &Registry) -> ProcessGauges {
        let gauge = |name, help| register::gauges(registry, name, help, &[]);
        let cpu = Opts::new("process_cpu_seconds_total", "Processor time that the process has used, in seconds.");
        let cpu_seconds = Counter::with_opts(cpu).expect("the name is valid");
        registry.register(Box::new(cpu_seconds.clone())).expect("the name is not taken");
        // Read once: the system derives it from the clock, so it would change whenever the clock is set, and look like a
        // restart.
        let start_time = gauge("process_start_time_seconds", "When the process started, in seconds since 1970.");
        if let Some(seconds) = started_at() {
            start_time.with_label_values::<&str>(&[]).set(seconds);
        }
        ProcessGauges {
            cpu_seconds,
            open_fds: gauge("process_open_fds", "Open file descriptors."),
            max_fds: gauge("process_max_fds", "The most file descriptors that the process may open."),
            resident: gauge("process_resident_memory_bytes", "Memory of the process that is in RAM."),
            virtual_memory: gauge("process_virtual_memory_bytes", "Address space of the process."),
            threads: gauge("process_threads", "Threads of the process."),
        }
    }

    pub(super) fn update(&self) {
        let facts = ProcessFacts::read();
        if let Some(seconds) = facts.cpu_seconds {
            self.cpu_seconds.inc_by((seconds - self.cpu_seconds.get()).max(0.0));
        }
        let gauges = [
            (&self.open_fds, facts.open_fds),
            (&self.max_fds, facts.max_fds),
            (&self.resident, facts.resident_bytes),
            (&self.virtual_memory, facts.virtual_bytes),
            (&self.threads, facts.threads),
        ];
        for (gauge, value) in gauges {
            gauge.reset();
            if let Some(value) = value {
                gauge.with_label_values::<&str>(&[]).set(value);
            }
        }
    }
}

impl ProcessFacts {
    #[cfg(target_os = "linux")]
    #[expect(clippy::cast_precision_loss, reason = "Prometheus has only floating-point numbers")]
    fn read() -> ProcessFacts {
        use procfs::WithCurrentSystemInfo;
        use procfs::process::{LimitValue, Process};

        let Ok(process) = Process::myself() else { return ProcessFacts::default() };
        let ticks = procfs::ticks_per_second() as f64;
        let open_fds = process.fd_count().ok().map(|count| count as f64);
        let max_fds = process.limits().ok().and_then(|limits| match limits.max_open_files.soft_limit {
            LimitValue::Value(most) => Some(most as f64),
            LimitValue::Unlimited => None,
        });
        let Ok(stat) = process.stat() else { return ProcessFacts { open_fds, max_fds, ..ProcessFacts::default() } };
        ProcessFacts {
            cpu_seconds: Some((stat.utime + stat.stime) as f64 / ticks),
            open_fds,
            max_fds,
            resident_bytes: Some(stat.rss_bytes().get() as f64),
            virtual_bytes: Some(stat.vsize as f64),
            threads: Some(stat.num_threads as f64),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read() -> ProcessFacts {
        ProcessFacts::default()
    }
}

/// Returns when the process started, in seconds since 1970.
#[cfg(target_os = "linux")]
#[expect(clippy::cast_precision_loss, reason = "Prometheus has only floating-point numbers")]
fn started_at() -> Option<f64> {
    let stat = procfs::process::Process::myself().ok()?.stat().ok()?;
    Some(procfs::boot_time_secs().ok()? as f64 + stat.starttime as f64 / procfs::ticks_per_second() as f64)
}

#[cfg(not(target_os = "linux"))]
fn started_at() -> Option<f64> {
    None
}
