//! The `vitals` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    vitals_server::egress::install_tls_provider();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("vitals: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let exit = runtime.block_on(vitals_server::cli::run());
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    exit.into()
}
