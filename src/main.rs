//! The `chatbridge` command.

use std::num::NonZero;
use std::process::ExitCode;

use chatbridge::cli::{self, Cli};
use clap::Parser;
use tokio::runtime::{Builder, Runtime};

/// Threads for the little work that blocks (looking up host names, reading a file): few, because each costs memory.
const BLOCKING_THREADS: usize = 8;
/// The stack of a thread, in bytes.
const STACK: usize = 2 * 1024 * 1024;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Without it the clients have no cryptography; it fails only if there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = match runtime.block_on(cli::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::explain(&error),
    };
    // Whatever still runs is not waited for: a second signal means at once.
    runtime.shutdown_background();
    code
}

fn runtime() -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    Builder::new_multi_thread()
        .worker_threads(cores)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(STACK)
        .enable_all()
        .build()
}
