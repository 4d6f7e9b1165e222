//! `sprag start`: the daemon.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use super::{LogFormat, StartArgs, complain, log, unusable};
use crate::config::Config;
use crate::driver;
use crate::kafka::connect::connect;
use crate::ports::{Clock, Ports};
use sprag_core::action::StopReason;
use sprag_core::machine::Core;

/// Runs until the daemon is asked to stop or cannot continue.
pub(super) fn run(args: &StartArgs) -> ExitCode {
    let json = args.log_format == LogFormat::Json;
    if json {
        // Errors in the configuration are logged as JSON too.
        log::start(args.log_format);
    }
    let loaded = match args.files.load_or(|errors| {
        if json {
            errors.0.iter().for_each(|wrong| error!("invalid configuration: {wrong}"));
        } else {
            complain(&unusable(errors));
        }
    }) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    log::start(args.log_format);
    for notice in &loaded.notices {
        info!("{notice}");
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("cannot start the async runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(serve(&loaded.config))
}

async fn serve(config: &Config) -> ExitCode {
    let (mut terminate, mut interrupt) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => {
                error!("cannot install the handlers for SIGTERM and SIGINT: {error}");
                return ExitCode::FAILURE;
            }
        };
    let mut asked = std::pin::pin!(async move {
        tokio::select! {
            biased;
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    info!(version = env!("CARGO_PKG_VERSION"), pipeline = config.name, "starting");
    let connected = tokio::select! {
        biased;
        () = &mut asked => {
            info!("stopped before connecting to both clusters");
            return ExitCode::SUCCESS;
        }
        connected = connect(config) => connected,
    };
    let (setup, ports) = match connected {
        Ok(connected) => connected,
        Err(failure) => {
            error!("{failure}");
            return ExitCode::FAILURE;
        }
    };
    info!(
        source = setup.source_cluster.as_str(),
        target = setup.target_cluster.as_str(),
        shards = setup.fence_topic.shards.get(),
        "connected to both clusters"
    );
    let core = Core::new(setup, ports.clock().now());
    match driver::run(core, &ports, asked).await {
        StopReason::Asked => {
            info!("stopped");
            ExitCode::SUCCESS
        }
        StopReason::Fatal { reason } => {
            error!("{reason}");
            ExitCode::FAILURE
        }
    }
}
