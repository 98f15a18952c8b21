//! The executable: arguments, run, the chain of causes, the exit status.

use std::process::ExitCode;

use clap::Parser;
use mynah::cli::{self, Cli};
use mynah::daemon::DatabaseDamaged;

/// The database is damaged or its disk fails (`EX_IOERR` of sysexits): restarting does not help.
const EXIT_DATABASE_DAMAGED: u8 = 74;

fn main() -> ExitCode {
    // Wrong usage ends here with status 2; --help and --version with 0.
    let Err(error) = cli::run(Cli::parse()) else { return ExitCode::SUCCESS };
    eprintln!("mynah: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
    ExitCode::from(if error.is::<DatabaseDamaged>() { EXIT_DATABASE_DAMAGED } else { 1 })
}
