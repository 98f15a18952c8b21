//! The processes that are measured, and the kernel's figures about them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::load_generator::Connection;
use super::stand_ins::StandIn;
use super::{baseline, webhook};

/// Returns the executable that is measured: the release one, or the one given with `--program`.
pub fn mynah() -> &'static Path {
    static MYNAH: OnceLock<PathBuf> = OnceLock::new();
    MYNAH.get_or_init(|| {
        let named = std::env::args().skip_while(|argument| argument != "--program").nth(1);
        PathBuf::from(named.unwrap_or_else(|| env!("CARGO_BIN_EXE_mynah").to_owned()))
    })
}

/// The unit of the times in /proc/…/stat. On every common machine, Linux uses hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// A server in a process of its own, which is killed when this is dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// How mynah is started.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// Without them, mynah accepts messages and does not answer them.
    pub stand_ins: Option<&'a StandIn>,
    pub typing: bool,
}

impl Server {
    /// Starts `mynah serve` on the folder. Returns before it listens.
    pub fn mynah(folder: &Path, setting: Setting<'_>) -> Result<Server> {
        let address = free_address()?;
        let mut command = Command::new(mynah());
        command.arg("serve").current_dir(folder).env_clear().stdout(Stdio::null()).stderr(Stdio::null());
        command.envs([
            ("MYNAH_DATA_DIR", folder.join("data").to_string_lossy().as_ref()),
            ("MYNAH_LISTEN", &address.to_string()),
            ("MYNAH_PUBLIC_URL", webhook::PUBLIC_URL),
            ("MYNAH_MERGE_WINDOW", "0"),
            ("MYNAH_TYPING", if setting.typing { "true" } else { "false" }),
            ("TWILIO_ACCOUNT_SID", webhook::ACCOUNT),
            ("TWILIO_AUTH_TOKEN", webhook::TOKEN),
            ("TWILIO_WHATSAPP_FROM", webhook::OUR_NUMBER),
        ]);
        if let Some(stand_ins) = setting.stand_ins {
            let base = format!("http://{}", stand_ins.address);
            command.envs([
                ("TWILIO_API_BASE_URL", base.as_str()),
                ("MYNAH_AI_PROVIDER", "openai"),
                ("MYNAH_AI_MODEL", "bench"),
                // For a model on this machine, the default is 2.
                ("MYNAH_AI_CONCURRENCY", "64"),
                ("OPENAI_BASE_URL", &format!("{base}/v1")),
            ]);
        }
        let child = command.spawn().with_context(|| format!("cannot start {}", mynah().display()))?;
        Ok(Server { child, address })
    }

    /// Starts one of the bare servers.
    pub fn baseline(folder: &Path, what: &str) -> Result<Server> {
        let this = std::env::current_exe()?;
        let mut child = Command::new(this).args(["bare", what]).arg(folder).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a bare server has no stdout")?).read_line(&mut line)?;
        Ok(Server { child, address: baseline::address(&line)? })
    }

    /// Waits until the server listens.
    pub async fn ready(&mut self) -> Result<()> {
        let began = Instant::now();
        while Connection::open(self.address).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server exited at its start: {status}");
            }
            if began.elapsed() > Duration::from_secs(60) {
                bail!("the server does not listen after 60 s");
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        Ok(())
    }

    /// Stops the server as a service manager does, with SIGTERM, and waits until it exits.
    pub fn stop(mut self) -> Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        self.child.wait()?;
        Ok(())
    }

    fn proc(&self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.child.id());
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }

    /// Returns the processor time so far, in user and kernel mode.
    pub fn processor_time(&self) -> Result<(Duration, Duration)> {
        let stat = self.proc("stat")?;
        // The second field is a name in parentheses that may contain spaces. utime is the 14th field, stime the 15th.
        let fields: Vec<_> =
            stat.rsplit_once(')').context("/proc/…/stat has no process name")?.1.split_whitespace().collect();
        let ticks = |at: usize| {
            anyhow::Ok(TICK * fields.get(at).context("/proc/…/stat has fewer than 15 fields")?.parse::<u32>()?)
        };
        Ok((ticks(11)?, ticks(12)?))
    }

    /// Returns the server's share of the memory (PSS), in bytes.
    pub fn pss(&self) -> Result<u64> {
        Ok(1024 * field(&self.proc("smaps_rollup")?, "Pss:")?)
    }

    /// Returns the part of the PSS that is neither the program itself nor another file, in bytes.
    pub fn anonymous(&self) -> Result<u64> {
        Ok(1024 * field(&self.proc("smaps_rollup")?, "Pss_Anon:")?)
    }

    /// Returns how many bytes the server has caused to be written to the disk.
    pub fn written(&self) -> Result<u64> {
        field(&self.proc("io")?, "write_bytes:")
    }

    pub fn threads(&self) -> Result<u64> {
        field(&self.proc("status")?, "Threads:")
    }
}

/// Returns an address with a free port. The port is below those that the kernel gives to outgoing connections, because
/// one of these could take it before the server does.
fn free_address() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], NEXT.fetch_add(1, Ordering::Relaxed)));
        if address.port() >= 32_000 {
            bail!("no port between 20000 and 32000 is free");
        }
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
}

fn field(text: &str, name: &str) -> Result<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("{name} is missing"))?;
    Ok(value.split_whitespace().next().context("a field has no value")?.parse()?)
}
