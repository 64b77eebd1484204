//! What a plugin prints after its handshake, which go-plugin carries over gRPC.

use std::sync::Arc;

use palisade_protocol::plugin::grpc_stdio_client::GrpcStdioClient;
use palisade_protocol::plugin::stdio_data::Channel as Source;
use tonic::Status;

use super::lines::Lines;
use super::output::Task;
use super::wire::Wire;
use crate::services::PluginLog;

/// The largest piece that is taken at once, in bytes; go-plugin's have a kibibyte.
const PIECE_BYTES_MAX: usize = 1 << 20;

/// Reads until the process ends: an unread stream makes a plugin wait that prints much.
///
/// In a task of its own: a Go server answers with its first piece only, which may never come.
pub(super) fn follow(wire: Wire, log: &Arc<PluginLog>) -> Task {
    let log = Arc::clone(log);
    Task::spawn(async move {
        // The end of the stream, and a plugin without it, are no news.
        let _ = read(wire, &log).await;
    })
}

async fn read(wire: Wire, log: &PluginLog) -> Result<(), Status> {
    let mut client = GrpcStdioClient::with_origin(wire, Wire::origin())
        .max_decoding_message_size(PIECE_BYTES_MAX);
    let mut pieces = client.stream_stdio(()).await?.into_inner();
    let (mut stdout, mut stderr) = (Lines::default(), Lines::default());
    while let Some(piece) = pieces.message().await? {
        match piece.channel() {
            Source::Stdout => stdout.take(&piece.data, |line| log.output("stdout", line)),
            Source::Stderr => stderr.take(&piece.data, |line| log.output("stderr", line)),
            Source::Invalid => {}
        }
    }
    stdout.finish(|line| log.output("stdout", line));
    stderr.finish(|line| log.output("stderr", line));
    Ok(())
}
