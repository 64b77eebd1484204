//! What a plugin can find out about itself and its surroundings.

use std::sync::atomic::Ordering;

use palisade_plugin::{
    Answer, Call, Failure, Field, Json, MakePath, Path, data, parse_duration, rfc3339,
};
use serde_json::{Map, Value, json};

use crate::Hostile;
use crate::options::times_initialized;

const LEN: Field<i64> = Field::int("len", "How many bytes.").default("32");
const ENTITY: Field<String> = Field::string("entity_id", "Whose entity and groups to ask for.");
const POLICY: Field<String> = Field::string("policy", "The password policy to ask for.");

const EACH: &str = "Read it.";

pub(crate) const PATHS: [(&str, MakePath<Hostile>); 8] = [
    ("count", || {
        Path::new("count")
            .read(count)
            .help("Counts its calls in memory.", EACH)
    }),
    ("initialized", || {
        Path::new("initialized")
            .read(initialized)
            .help("How often initialize ran.", EACH)
    }),
    ("time-left", || {
        Path::new("time-left")
            .read(time_left)
            .help("The time until the deadline.", EACH)
    }),
    ("now", || {
        Path::new("now").read(now).help("The host's clock.", EACH)
    }),
    ("random", || {
        Path::new("random")
            .field(&LEN)
            .read(random)
            .write(random)
            .help("Random bytes.", EACH)
    }),
    ("environment", || {
        Path::new("environment")
            .read(environment)
            .help("Variables and arguments.", EACH)
    }),
    ("descriptors", || {
        Path::new("descriptors")
            .read(descriptors)
            .help("Open file descriptors.", EACH)
    }),
    ("system", || {
        Path::new("system")
            .field(&ENTITY)
            .field(&POLICY)
            .read(system)
            .write(system)
            .help("Everything that the system view says.", EACH)
    }),
];

async fn count(hostile: &Hostile, _: Call<'_>) -> Answer {
    let count = hostile.count.fetch_add(1, Ordering::Relaxed) + 1;
    data(&json!({ "count": count }))
}

async fn initialized(_: &Hostile, call: Call<'_>) -> Answer {
    data(&json!({ "times": times_initialized(call.host()).await? }))
}

async fn time_left(_: &Hostile, call: Call<'_>) -> Answer {
    let left = call.host().time_left();
    data(&json!({ "ms": left.map(|left| left.as_millis() as u64) }))
}

async fn now(_: &Hostile, call: Call<'_>) -> Answer {
    let now = call.now();
    data(&json!({ "seconds": now.seconds, "nanos": now.nanos, "rfc3339": rfc3339(now) }))
}

async fn random(_: &Hostile, call: Call<'_>) -> Answer {
    const LEN_MAX: usize = 1 << 20;
    let len = usize::try_from(call.value(&LEN)?)
        .ok()
        .filter(|len| *len <= LEN_MAX);
    let len = len.ok_or_else(|| Failure::refused("len is from 0 to 1048576"))?;
    let mut bytes = vec![0; len];
    call.host().random(&mut bytes);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    data(&json!({ "hex": hex }))
}

async fn environment(_: &Hostile, _: Call<'_>) -> Answer {
    let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
    let vars: Map<String, Value> = std::env::vars_os()
        .map(|(name, value)| (text(name), text(value).into()))
        .collect();
    let args: Vec<String> = std::env::args_os().map(text).collect();
    data(&json!({ "vars": vars, "args": args }))
}

async fn descriptors(_: &Hostile, _: Call<'_>) -> Answer {
    data(&json!({ "descriptors": open_descriptors() }))
}

/// Number and target of each open file descriptor.
#[cfg(not(target_family = "wasm"))]
fn open_descriptors() -> Map<String, Value> {
    let Ok(folder) = std::fs::read_dir("/proc/self/fd") else {
        return Map::new();
    };
    let links: Vec<_> = folder.flatten().map(|link| link.path()).collect();
    // The folder is closed by now, so its own descriptor has no target any more and drops out.
    let named = links.into_iter().filter_map(|link| {
        let target = std::fs::read_link(&link).ok()?;
        let number = link.file_name()?.to_string_lossy().into_owned();
        Some((number, target.to_string_lossy().into_owned().into()))
    });
    named.collect()
}

/// A component has none, and no way to ask for them.
#[cfg(target_family = "wasm")]
fn open_descriptors() -> Map<String, Value> {
    Map::new()
}

async fn system(_: &Hostile, call: Call<'_>) -> Answer {
    let (system, mut facts) = (call.system(), Map::new());
    let mut tell = |name: &str, fact: Result<Value, String>| {
        let told = fact.unwrap_or_else(|error| json!({ "error": error }));
        facts.insert(name.to_owned(), told);
    };
    let seconds = |ttl: std::time::Duration| json!(ttl.as_secs());
    tell(
        "default_lease_ttl",
        told(system.default_lease_ttl().await, seconds),
    );
    tell("max_lease_ttl", told(system.max_lease_ttl().await, seconds));
    tell("tainted", told(system.tainted().await, Value::Bool));
    tell(
        "caching_disabled",
        told(system.caching_disabled().await, Value::Bool),
    );
    tell(
        "replication_state",
        told(system.replication_state().await, |state| json!(state.0)),
    );
    tell(
        "mlock_enabled",
        told(system.mlock_enabled().await, Value::Bool),
    );
    tell("local_mount", told(system.local_mount().await, Value::Bool));
    tell(
        "version",
        told(system.plugin_environment().await, |env| json!(env.version)),
    );
    tell("cluster_id", told(system.cluster_id().await, Value::String));
    let entity_id = call.value(&ENTITY)?;
    tell(
        "entity",
        told(system.entity(&entity_id).await, |entity| {
            json!(entity.map(|e| e.name))
        }),
    );
    tell(
        "groups",
        told(system.groups_for_entity(&entity_id).await, |groups| {
            groups.into_iter().map(|group| group.name).collect()
        }),
    );
    let policy = call.value(&POLICY)?;
    tell(
        "password",
        told(system.generate_password(&policy).await, |password| {
            json!(password.len())
        }),
    );
    let ttl = parse_duration("60").unwrap_or_default();
    let inner = Json::from_text(r#"{"wrapped":true}"#);
    tell(
        "wrapped",
        told(system.wrap_response(inner, ttl).await, |info| {
            json!(info.ttl.as_secs())
        }),
    );
    data(&facts)
}

fn told<T>(
    answer: Result<T, palisade_plugin::HostError>,
    show: impl FnOnce(T) -> Value,
) -> Result<Value, String> {
    answer.map(show).map_err(|error| error.message)
}
