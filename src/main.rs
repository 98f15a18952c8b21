//! The executable: parses arguments, runs the command, prints the error with its causes, and sets the exit status.

use std::process::ExitCode;

use clap::Parser;
use mynah::cli::{self, Cli};
use mynah::daemon::DatabaseDamaged;

/// The exit status if the database is damaged or its disk fails (`EX_IOERR` of sysexits). Restarting does not help.
const EXIT_DATABASE_DAMAGED: u8 = 74;

fn main() -> ExitCode {
    // `Cli::parse` ends the process itself: with status 2 for wrong usage, with 0 for --help and --version.
    let Err(error) = cli::run(Cli::parse()) else { return ExitCode::SUCCESS };
    eprintln!("mynah: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
    ExitCode::from(if error.is::<DatabaseDamaged>() { EXIT_DATABASE_DAMAGED } else { 1 })
}
