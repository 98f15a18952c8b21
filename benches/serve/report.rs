//! Medians, percentiles, tables, and the facts about the machine that are needed to read the figures.

use std::fs;
use std::io::{Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Returns the median; of an even number of figures, the upper of the two in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns, in milliseconds, the figure that `percent` percent of the latencies (in microseconds) do not exceed.
pub fn percentile(latencies: &mut [u32], percent: usize) -> f64 {
    latencies.sort_unstable();
    let place = (latencies.len() * percent).div_ceil(100).saturating_sub(1);
    latencies.get(place).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
}

/// Prints a table in Markdown, aligned for a terminal.
pub fn table(head: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("| {} |", cells.join(" | "));
    };
    line(&head.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>());
    line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>());
    rows.iter().for_each(|row| line(row));
    println!();
}

/// Prints the facts about the machine and its load.
pub fn machine(folder: &Path) -> Result<()> {
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let (kind, device) = file_system(folder)?;
    let rows = [
        ("processor", model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned())),
        ("cores", std::thread::available_parallelism()?.to_string()),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("file system of the data", format!("{kind} on {device}")),
        ("one 4 KiB write with fdatasync, median", format!("{:.2} ms", flush_time(folder)? * 1e3)),
        ("load before the run", load()),
    ];
    table(&["machine", ""], &rows.map(|(name, value)| vec![name.to_owned(), value]));
    if kind == "tmpfs" || kind == "ramfs" {
        println!(
            "WARNING: {} is in memory, so the figures do not show what durability costs. Choose a disk with --dir.\n",
            folder.display()
        );
    }
    Ok(())
}

/// Returns the machine's load over 1, 5 and 15 minutes.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Returns the type and device of the file system that holds the folder.
fn file_system(folder: &Path) -> Result<(String, String)> {
    let folder = folder.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let found = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (device, at, kind) = (fields.next()?, fields.next()?, fields.next()?);
            folder.starts_with(at).then_some((at.len(), kind.to_owned(), device.to_owned()))
        })
        .max()
        .context("the folder's file system is not in /proc/self/mounts")?;
    Ok((found.1, found.2))
}

/// Returns the median time of one 4 KiB write with fdatasync, in seconds.
fn flush_time(folder: &Path) -> Result<f64> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        file.rewind()?;
        let began = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64());
    }
    Ok(median(times))
}

pub fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}
