//! A plugin's process with everything that belongs to the process and not to one mount of it.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use palisade_protocol::plugin::Empty;
use palisade_protocol::plugin::grpc_controller_client::GrpcControllerClient;
use tokio::time::{Instant, timeout_at};

use super::broker::Broker;
use super::busy_wait::BusyWait;
use super::channel::Connection;
use super::output::{Follower, Task};
use super::run_dir::RunDir;
use super::stdio;
use super::wire::Wire;
use crate::driver::StartTimes;
use crate::services::PluginLog;
use crate::worker::Process;

/// How long a killed process may take to be gone; only one that hangs in the kernel takes longer.
const KILLED_TIMEOUT: Duration = Duration::from_secs(5);

/// Dropping it kills the process, ends its tasks and removes its folder, in this order.
pub(super) struct NativeProcess {
    process: Process,
    wire: Wire,
    broker: Broker,
    start_times: StartTimes,
    busy_wait: BusyWait,
    outputs: [Follower; 2],
    _stdio: Task,
    _directory: Arc<RunDir>,
}

impl NativeProcess {
    /// Opens the two streams that a host holds for the life of a process.
    pub(super) fn new(
        process: Process,
        connection: Connection,
        directory: RunDir,
        outputs: [Follower; 2],
        start_times: StartTimes,
        log: &Arc<PluginLog>,
        busy_wait: BusyWait,
    ) -> Self {
        let Connection { wire, server_tls } = connection;
        let directory = Arc::new(directory);
        Self {
            broker: Broker::open(
                wire.clone(),
                server_tls,
                process.id(),
                Arc::clone(&directory),
            ),
            _stdio: stdio::follow(wire.clone(), log),
            outputs,
            process,
            wire,
            start_times,
            busy_wait,
            _directory: directory,
        }
    }

    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    pub(super) fn wire(&self) -> Wire {
        self.wire.clone()
    }

    /// Whether nothing that is sent to it could be answered any more.
    pub(super) fn has_ended(&self) -> bool {
        self.process.has_died() || self.wire.has_ended()
    }

    pub(super) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// How calls to it are waited for.
    pub(super) fn busy_wait(&self) -> &BusyWait {
        &self.busy_wait
    }

    pub(super) fn start_times(&self) -> StartTimes {
        self.start_times
    }

    /// Asks it to end, and ends it at `until`.
    pub(super) async fn stop(&self, until: Instant) {
        let asked = async {
            let mut controller = GrpcControllerClient::with_origin(self.wire(), Wire::origin());
            // The connection may break before the answer: the exit of the process is what counts.
            let _ = controller.shutdown(Empty {}).await;
            self.process.exited().await
        };
        if timeout_at(until, asked).await.is_err() {
            self.process.kill();
        }
        let gone = self.process.exited_within(KILLED_TIMEOUT).await;
        if gone.is_none() {
            tracing::error!(
                pid = self.process.id(),
                "a killed plugin process does not end"
            );
        }
        for output in &self.outputs {
            output.ended().await;
        }
    }

    /// Resident memory, in bytes.
    pub(super) fn memory_bytes(&self) -> Option<u64> {
        if self.process.exit().is_some() {
            return None;
        }
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        resident_bytes(&status)
    }
}

/// The line `VmRSS:     1234 kB` of a process's status.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(
            resident_bytes("Name:\tx\nVmRSS:\t    1234 kB\n"),
            Some(1234 * 1024)
        );
        assert_eq!(resident_bytes("Name:\tx\n"), None);
        let own = fs::read_to_string("/proc/self/status").expect("this process has one");
        assert!(resident_bytes(&own).is_some_and(|bytes| bytes > 1 << 20));
    }
}
