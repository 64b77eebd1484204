//! Answers the imports of the package with what the host offers this call of this mount.

use wasmtime::Result;
use wasmtime::component::{Resource, ResourceTable};

use super::bindings::palisade::plugin::{
    clock, deadline, log, random, storage, system, types as wit,
};
use super::clocks;
use super::convert;
use super::store::StoreState;
use crate::HostCallOutcome;
use crate::services::Scope;
use palisade_contract::{Host, HostError, LogRecord, Transaction};

/// Randomness that a guest gets at once, in bytes.
const RANDOM_BYTES_MAX: u32 = 65_536;

/// What the host does for a guest before it lets others have the thread, in units that [`Meter::charge`] counts.
const SLICE: usize = 1 << 20;

/// What a guest may owe at the most for calls that cannot wait: more than a stream takes in single bytes.
const OWED_MAX: usize = 16 * SLICE;

/// What a host call costs however little it carries. A guest that only calls the host uses hardly any fuel.
const CALL_COST: usize = 1 << 10;

/// Counts the work that the host does for a guest, and yields after every slice of it.
#[derive(Default)]
pub(super) struct Meter {
    /// Since the last yield.
    owed: usize,
    /// Since there is the store.
    done: u64,
}

impl Meter {
    /// Counts a call that carries so many bytes.
    pub(super) async fn charge(&mut self, bytes: usize) {
        self.owe(bytes);
        if self.is_due() {
            self.owed = 0;
            tokio::task::yield_now().await;
        }
    }

    /// Counts a call that cannot wait; the next one that can does so for it.
    pub(super) fn owe(&mut self, bytes: usize) {
        let work = CALL_COST.saturating_add(bytes);
        self.owed = self.owed.saturating_add(work);
        self.done = self.done.saturating_add(work as u64);
    }

    /// Whether others should have the thread.
    pub(super) fn is_due(&self) -> bool {
        self.owed >= SLICE
    }

    /// Whether others should have had it long ago.
    pub(super) fn is_overdue(&self) -> bool {
        self.owed >= OWED_MAX
    }

    /// All that was ever done, in the same units: bytes, and so many for each call.
    pub(super) fn done(&self) -> u64 {
        self.done
    }
}

/// A transaction that the guest holds a handle of.
#[expect(
    unreachable_pub,
    reason = "the generated bindings re-export it as public"
)]
pub struct OpenTransaction(Box<dyn Transaction>);

type Answer<T> = Result<Result<T, wit::HostError>>;

const STORAGE: &str = "palisade:plugin/storage";
const TRANSACTION: &str = "palisade:plugin/storage.transaction";
const SYSTEM: &str = "palisade:plugin/system";
const LOG: &str = "palisade:plugin/log";
const CLOCK: &str = "palisade:plugin/clock";
const RANDOM: &str = "palisade:plugin/random";
const DEADLINE: &str = "palisade:plugin/deadline";

fn same<T>(value: T) -> T {
    value
}

impl StoreState {
    /// A call of the host begins that carries so many bytes.
    pub(super) async fn called(
        &mut self,
        interface: &'static str,
        function: &'static str,
        bytes: usize,
    ) {
        self.recorder.call(interface, function);
        self.meter.charge(bytes).await;
    }

    /// A call of an interface that is linked as it is, and whose functions are not told apart.
    pub(super) fn noted(&mut self, interface: &'static str) -> &mut Self {
        self.recorder.note(interface, "");
        self
    }

    /// Turns the host's answer into the guest's.
    fn answer<T, U>(
        &mut self,
        answer: Result<T, HostError>,
        convert: impl FnOnce(T) -> U,
    ) -> Answer<U> {
        self.recorder.returned(match &answer {
            Ok(_) => HostCallOutcome::Ok,
            Err(_) => HostCallOutcome::Error,
        });
        Ok(answer.map(convert).map_err(convert::host_error))
    }

    /// What a call gives that cannot fail.
    pub(super) fn given<T>(&mut self, value: T) -> Result<T> {
        self.recorder.returned(HostCallOutcome::Ok);
        Ok(value)
    }

    pub(super) fn scope(&self) -> Result<&Scope> {
        self.scope
            .as_ref()
            .ok_or_else(|| wasmtime::Error::msg("the host was called outside of a request"))
    }

    fn transaction(&self, handle: &Resource<OpenTransaction>) -> Result<&dyn Transaction> {
        Ok(&*self.table.get(handle)?.0)
    }

    fn take_transaction(
        &mut self,
        handle: Resource<OpenTransaction>,
    ) -> Result<Box<dyn Transaction>> {
        self.open_transactions = self.open_transactions.saturating_sub(1);
        Ok(self.table.delete(handle)?.0)
    }
}

impl wit::Host for StoreState {}

/// Bytes that the guest handed over with it.
fn carried(entry: &storage::Entry) -> usize {
    entry.key.len() + entry.value.len()
}

impl storage::Host for StoreState {
    async fn get(&mut self, key: String) -> Answer<Option<storage::Entry>> {
        self.called(STORAGE, "get", key.len()).await;
        let found = self.scope()?.storage().get(&key).await;
        if let Ok(Some(entry)) = &found {
            self.meter.charge(entry.value.len()).await;
        }
        self.answer(found, |entry| entry.map(convert::stored_entry))
    }

    async fn put(&mut self, entry: storage::Entry) -> Answer<()> {
        self.called(STORAGE, "put", carried(&entry)).await;
        let entry = convert::storage_entry(entry);
        self.answer(self.scope()?.storage().put(entry).await, same)
    }

    async fn delete(&mut self, key: String) -> Answer<()> {
        self.called(STORAGE, "delete", key.len()).await;
        self.answer(self.scope()?.storage().delete(&key).await, same)
    }

    async fn list_page(
        &mut self,
        prefix: String,
        after: String,
        limit: i32,
    ) -> Answer<Vec<String>> {
        self.called(STORAGE, "list-page", prefix.len() + after.len())
            .await;
        let page = self
            .scope()?
            .storage()
            .list_page(&prefix, &after, limit)
            .await;
        self.meter.charge(page_bytes(&page)).await;
        self.answer(page, same)
    }

    async fn begin(&mut self, mode: storage::TransactionMode) -> Answer<Resource<OpenTransaction>> {
        self.called(STORAGE, "begin", 0).await;
        let opened = self
            .scope()?
            .storage()
            .begin(convert::transaction_mode(mode))
            .await;
        match opened {
            Ok(transaction) => {
                let handle = self.table.push(OpenTransaction(transaction))?;
                self.open_transactions += 1;
                self.answer(Ok(handle), same)
            }
            Err(error) => self.answer(Err(error), same),
        }
    }
}

fn page_bytes(page: &Result<Vec<String>, HostError>) -> usize {
    page.iter().flatten().map(String::len).sum()
}

impl storage::HostTransaction for StoreState {
    async fn get(
        &mut self,
        this: Resource<OpenTransaction>,
        key: String,
    ) -> Answer<Option<storage::Entry>> {
        self.called(TRANSACTION, "get", key.len()).await;
        let found = self.transaction(&this)?.get(&key).await;
        if let Ok(Some(entry)) = &found {
            self.meter.charge(entry.value.len()).await;
        }
        self.answer(found, |entry| entry.map(convert::stored_entry))
    }

    async fn put(&mut self, this: Resource<OpenTransaction>, entry: storage::Entry) -> Answer<()> {
        self.called(TRANSACTION, "put", carried(&entry)).await;
        let entry = convert::storage_entry(entry);
        self.answer(self.transaction(&this)?.put(entry).await, same)
    }

    async fn delete(&mut self, this: Resource<OpenTransaction>, key: String) -> Answer<()> {
        self.called(TRANSACTION, "delete", key.len()).await;
        self.answer(self.transaction(&this)?.delete(&key).await, same)
    }

    async fn list_page(
        &mut self,
        this: Resource<OpenTransaction>,
        prefix: String,
        after: String,
        limit: i32,
    ) -> Answer<Vec<String>> {
        self.called(TRANSACTION, "list-page", prefix.len() + after.len())
            .await;
        let page = self
            .transaction(&this)?
            .list_page(&prefix, &after, limit)
            .await;
        self.meter.charge(page_bytes(&page)).await;
        self.answer(page, same)
    }

    async fn commit(&mut self, this: Resource<OpenTransaction>) -> Answer<()> {
        self.called(TRANSACTION, "commit", 0).await;
        let outcome = self.take_transaction(this)?.commit().await;
        self.answer(outcome, same)
    }

    async fn rollback(&mut self, this: Resource<OpenTransaction>) -> Answer<()> {
        self.called(TRANSACTION, "rollback", 0).await;
        let outcome = self.take_transaction(this)?.rollback().await;
        self.answer(outcome, same)
    }

    async fn drop(&mut self, this: Resource<OpenTransaction>) -> Result<()> {
        // A transaction that is dropped is rolled back.
        self.recorder.call(TRANSACTION, "drop");
        drop(self.take_transaction(this)?);
        self.given(())
    }
}

impl system::Host for StoreState {
    async fn default_lease_ttl(&mut self) -> Answer<u64> {
        self.called(SYSTEM, "default-lease-ttl", 0).await;
        self.answer(
            self.scope()?.system().default_lease_ttl().await,
            convert::nanoseconds,
        )
    }

    async fn max_lease_ttl(&mut self) -> Answer<u64> {
        self.called(SYSTEM, "max-lease-ttl", 0).await;
        self.answer(
            self.scope()?.system().max_lease_ttl().await,
            convert::nanoseconds,
        )
    }

    async fn tainted(&mut self) -> Answer<bool> {
        self.called(SYSTEM, "tainted", 0).await;
        self.answer(self.scope()?.system().tainted().await, same)
    }

    async fn caching_disabled(&mut self) -> Answer<bool> {
        self.called(SYSTEM, "caching-disabled", 0).await;
        self.answer(self.scope()?.system().caching_disabled().await, same)
    }

    async fn replication_state(&mut self) -> Answer<u32> {
        self.called(SYSTEM, "replication-state", 0).await;
        self.answer(self.scope()?.system().replication_state().await, |state| {
            state.0
        })
    }

    async fn mlock_enabled(&mut self) -> Answer<bool> {
        self.called(SYSTEM, "mlock-enabled", 0).await;
        self.answer(self.scope()?.system().mlock_enabled().await, same)
    }

    async fn local_mount(&mut self) -> Answer<bool> {
        self.called(SYSTEM, "local-mount", 0).await;
        self.answer(self.scope()?.system().local_mount().await, same)
    }

    async fn plugin_environment(&mut self) -> Answer<system::Environment> {
        self.called(SYSTEM, "plugin-environment", 0).await;
        self.answer(
            self.scope()?.system().plugin_environment().await,
            convert::environment,
        )
    }

    async fn get_entity(&mut self, entity_id: String) -> Answer<Option<system::Entity>> {
        self.called(SYSTEM, "get-entity", entity_id.len()).await;
        let found = self.scope()?.system().entity(&entity_id).await;
        self.answer(found, |entity| entity.map(convert::entity))
    }

    async fn groups_for_entity(&mut self, entity_id: String) -> Answer<Vec<system::Group>> {
        self.called(SYSTEM, "groups-for-entity", entity_id.len())
            .await;
        let found = self.scope()?.system().groups_for_entity(&entity_id).await;
        self.answer(found, |groups| {
            groups.into_iter().map(convert::group).collect()
        })
    }

    async fn generate_password(&mut self, policy_name: String) -> Answer<String> {
        self.called(SYSTEM, "generate-password", policy_name.len())
            .await;
        self.answer(
            self.scope()?.system().generate_password(&policy_name).await,
            same,
        )
    }

    async fn cluster_id(&mut self) -> Answer<String> {
        self.called(SYSTEM, "cluster-id", 0).await;
        self.answer(self.scope()?.system().cluster_id().await, same)
    }

    async fn wrap_response(&mut self, data: String, ttl: u64) -> Answer<wit::ResponseWrapInfo> {
        self.called(SYSTEM, "wrap-response", data.len()).await;
        let (data, ttl) = (convert::json(data), convert::duration(ttl));
        let wrapped = self.scope()?.system().wrap_response(data, ttl).await;
        self.answer(wrapped, convert::wrap_info)
    }
}

impl log::Host for StoreState {
    async fn emit(
        &mut self,
        level: log::Level,
        message: String,
        fields: Vec<(String, String)>,
    ) -> Result<()> {
        let bytes: usize = fields
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        self.called(LOG, "emit", message.len() + bytes).await;
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        self.scope()?.log(LogRecord {
            level: convert::level(level),
            message: &message,
            fields: &fields,
        });
        self.given(())
    }
}

impl clock::Host for StoreState {
    async fn now(&mut self) -> Result<wit::Timestamp> {
        self.called(CLOCK, "now", 0).await;
        let now = convert::timestamp(self.scope()?.now());
        self.given(clocks::rounded(now))
    }
}

impl random::Host for StoreState {
    async fn get_bytes(&mut self, len: u32) -> Result<Vec<u8>> {
        let len = len.min(RANDOM_BYTES_MAX) as usize;
        self.called(RANDOM, "get-bytes", len).await;
        let mut bytes = vec![0; len];
        self.scope()?.random(&mut bytes);
        self.given(bytes)
    }
}

impl deadline::Host for StoreState {
    async fn time_left(&mut self) -> Result<Option<u64>> {
        self.called(DEADLINE, "time-left", 0).await;
        let left = self.scope()?.time_left().map(clocks::rounded_duration);
        self.given(left.map(convert::nanoseconds))
    }
}

/// A table of resources that a guest cannot fill the host's memory with.
pub(super) fn bounded_table() -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(super::store::HANDLES_MAX);
    table
}
