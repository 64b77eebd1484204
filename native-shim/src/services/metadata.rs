//! What comes beside a call: which instance it is for, and how long the host waits.

use std::time::Duration;

use palisade_protocol::MULTIPLEX_ID;
use tonic::{Request, Status};

/// The longest name that a host may give an instance. OpenBao's have ten characters.
const ID_BYTES_MAX: usize = 256;

/// The instance that the call is for: exactly one name, and not an empty one.
pub(super) fn instance_id<T>(request: &Request<T>) -> Result<String, Status> {
    let mut names = request.metadata().get_all(MULTIPLEX_ID).iter();
    let (Some(name), None) = (names.next(), names.next()) else {
        return Err(refused("the call has to carry it exactly once"));
    };
    let name = name
        .to_str()
        .map_err(|_| refused("its value is not ASCII text"))?;
    match name.len() {
        0 => Err(refused("its value is empty")),
        1..=ID_BYTES_MAX => Ok(name.to_owned()),
        bytes => Err(refused(&format!(
            "its value has {bytes} bytes, at most {ID_BYTES_MAX} are taken"
        ))),
    }
}

fn refused(reason: &str) -> Status {
    Status::invalid_argument(format!("bad metadata {MULTIPLEX_ID}: {reason}"))
}

/// How long the host waits for the answer; `None` when it does not say.
pub(super) fn time_left<T>(request: &Request<T>) -> Option<Duration> {
    let text = request.metadata().get("grpc-timeout")?.to_str().ok()?;
    parse_timeout(text)
}

/// At most eight digits and a unit, as gRPC's protocol over HTTP/2 defines it.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataValue;

    use super::*;

    fn with_ids(ids: &[&'static str]) -> Request<()> {
        let mut request = Request::new(());
        for id in ids {
            let value = MetadataValue::from_static(id);
            request.metadata_mut().append(MULTIPLEX_ID, value);
        }
        request
    }

    #[test]
    fn exactly_one_name_that_is_not_empty_is_taken() {
        assert_eq!(instance_id(&with_ids(&["a"])).expect("an id"), "a");
        for ids in [&[][..], &["a", "b"], &["a", "a"], &[""]] {
            assert!(instance_id(&with_ids(ids)).is_err());
        }
    }

    #[test]
    fn every_unit_of_a_timeout_is_read() {
        for (text, expected) in [
            ("2H", Duration::from_secs(7200)),
            ("3M", Duration::from_secs(180)),
            ("4S", Duration::from_secs(4)),
            ("5m", Duration::from_millis(5)),
            ("6u", Duration::from_micros(6)),
            ("99999999n", Duration::from_nanos(99_999_999)),
        ] {
            assert_eq!(parse_timeout(text), Some(expected));
        }
    }

    #[test]
    fn a_malformed_timeout_is_none() {
        for text in ["", "S", "5", "-1S", "+1S", "5x", "123456789S", "1é", "é"] {
            assert_eq!(parse_timeout(text), None);
        }
    }
}
