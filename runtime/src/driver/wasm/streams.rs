//! `wasi:io/streams` as it is, counted as work of the host. Some of its functions cannot wait: what they cost is owed, and
//! a guest that owes too much is told that its stream is not ready, as a slow one would be, until it waits for it.

use wasmtime::Result;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, StreamError, StreamResult};
use wasmtime_wasi_io::bindings::wasi::io::streams::{
    self, Host, HostInputStream, HostOutputStream,
};

use super::store::StoreState;

const STREAMS: &str = "wasi:io/streams";

type Input = Resource<DynInputStream>;
type Output = Resource<DynOutputStream>;

impl StoreState {
    /// A call that may wait.
    async fn streamed(&mut self, bytes: usize) {
        self.noted(STREAMS).meter.charge(bytes).await;
    }

    /// A call that cannot.
    fn owed(&mut self, bytes: usize) -> StreamResult<()> {
        self.noted(STREAMS).meter.owe(bytes);
        match self.meter.is_overdue() {
            true => Err(StreamError::trap(
                "it used its streams without ever waiting for them",
            )),
            false => Ok(()),
        }
    }
}

impl Host for StoreState {
    fn convert_stream_error(&mut self, error: StreamError) -> Result<streams::StreamError> {
        self.table.convert_stream_error(error)
    }
}

impl HostInputStream for StoreState {
    fn read(&mut self, stream: Input, len: u64) -> StreamResult<Vec<u8>> {
        self.owed(0)?;
        if self.meter.is_due() {
            return Ok(Vec::new());
        }
        let bytes = self.table.read(stream, len)?;
        self.meter.owe(bytes.len());
        Ok(bytes)
    }

    async fn blocking_read(&mut self, stream: Input, len: u64) -> StreamResult<Vec<u8>> {
        self.streamed(0).await;
        let bytes = self.table.blocking_read(stream, len).await?;
        self.meter.charge(bytes.len()).await;
        Ok(bytes)
    }

    fn skip(&mut self, stream: Input, len: u64) -> StreamResult<u64> {
        self.owed(0)?;
        if self.meter.is_due() {
            return Ok(0);
        }
        let bytes = self.table.skip(stream, len)?;
        self.meter.owe(usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(bytes)
    }

    async fn blocking_skip(&mut self, stream: Input, len: u64) -> StreamResult<u64> {
        self.streamed(0).await;
        self.table.blocking_skip(stream, len).await
    }

    fn subscribe(&mut self, stream: Input) -> Result<Resource<DynPollable>> {
        self.noted(STREAMS).meter.owe(0);
        HostInputStream::subscribe(&mut self.table, stream)
    }

    async fn drop(&mut self, stream: Input) -> Result<()> {
        self.streamed(0).await;
        HostInputStream::drop(&mut self.table, stream).await
    }
}

impl HostOutputStream for StoreState {
    fn check_write(&mut self, stream: Output) -> StreamResult<u64> {
        self.owed(0)?;
        match self.meter.is_due() {
            true => Ok(0),
            false => self.table.check_write(stream),
        }
    }

    fn write(&mut self, stream: Output, bytes: Vec<u8>) -> StreamResult<()> {
        self.owed(bytes.len())?;
        self.table.write(stream, bytes)
    }

    async fn blocking_write_and_flush(
        &mut self,
        stream: Output,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        self.streamed(bytes.len()).await;
        self.table.blocking_write_and_flush(stream, bytes).await
    }

    fn write_zeroes(&mut self, stream: Output, len: u64) -> StreamResult<()> {
        self.owed(usize::try_from(len).unwrap_or(usize::MAX))?;
        self.table.write_zeroes(stream, len)
    }

    async fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Output,
        len: u64,
    ) -> StreamResult<()> {
        self.streamed(0).await;
        let written = self.table.blocking_write_zeroes_and_flush(stream, len);
        written.await
    }

    fn flush(&mut self, stream: Output) -> StreamResult<()> {
        self.owed(0)?;
        self.table.flush(stream)
    }

    async fn blocking_flush(&mut self, stream: Output) -> StreamResult<()> {
        self.streamed(0).await;
        self.table.blocking_flush(stream).await
    }

    fn splice(&mut self, to: Output, from: Input, len: u64) -> StreamResult<u64> {
        self.owed(0)?;
        if self.meter.is_due() {
            return Ok(0);
        }
        let bytes = self.table.splice(to, from, len)?;
        self.meter.owe(usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(bytes)
    }

    async fn blocking_splice(&mut self, to: Output, from: Input, len: u64) -> StreamResult<u64> {
        self.streamed(0).await;
        self.table.blocking_splice(to, from, len).await
    }

    fn subscribe(&mut self, stream: Output) -> Result<Resource<DynPollable>> {
        self.noted(STREAMS).meter.owe(0);
        HostOutputStream::subscribe(&mut self.table, stream)
    }

    async fn drop(&mut self, stream: Output) -> Result<()> {
        self.streamed(0).await;
        HostOutputStream::drop(&mut self.table, stream).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::state;
    use super::*;
    use bytes::Bytes;
    use futures_util::FutureExt;
    use wasmtime_wasi::p2::{OutputStream, Pollable};

    const PIECE: usize = 4096;

    /// Takes whatever it is given.
    struct Sink;

    #[async_trait::async_trait]
    impl Pollable for Sink {
        async fn ready(&mut self) {}
    }

    impl OutputStream for Sink {
        fn write(&mut self, _: Bytes) -> StreamResult<()> {
            Ok(())
        }

        fn flush(&mut self) -> StreamResult<()> {
            Ok(())
        }

        fn check_write(&mut self) -> StreamResult<usize> {
            Ok(PIECE)
        }
    }

    fn sink(store: &mut StoreState) -> impl Fn() -> Output + use<> {
        let sink: DynOutputStream = Box::new(Sink);
        let rep = store.table.push(sink).unwrap().rep();
        move || Resource::new_borrow(rep)
    }

    #[tokio::test]
    async fn a_stream_is_not_ready_for_one_who_never_waits() {
        let mut store = state(&std::sync::Arc::default());
        let stream = sink(&mut store);
        let until_it_is_not_ready = |store: &mut StoreState| {
            let mut pieces = 0;
            while store.check_write(stream()).unwrap() > 0 {
                store.write(stream(), vec![0; PIECE]).unwrap();
                pieces += 1;
                assert!(pieces < 1000);
            }
        };
        until_it_is_not_ready(&mut store);
        // Who waits for it leaves the thread to others, and goes on.
        assert!(store.blocking_flush(stream()).now_or_never().is_none());
        store.blocking_flush(stream()).await.unwrap();
        until_it_is_not_ready(&mut store);
    }

    #[tokio::test]
    async fn one_who_writes_without_asking_is_ended() {
        let mut store = state(&std::sync::Arc::default());
        let stream = sink(&mut store);
        let writes = (0..100_000).map_while(|_| store.write(stream(), vec![0; PIECE]).ok());
        assert!((1_000..10_000).contains(&writes.count()));
    }

    #[tokio::test]
    async fn as_many_single_bytes_as_a_stream_takes_are_written() {
        let mut store = state(&std::sync::Arc::default());
        let stream = sink(&mut store);
        assert_eq!(store.check_write(stream()).unwrap(), PIECE as u64);
        for _ in 0..PIECE {
            store.write(stream(), vec![0]).unwrap();
        }
    }
}
