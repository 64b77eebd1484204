//! `Debug` for the messages whose fields may be secret: the name and nothing else.

use std::fmt;

use crate::generated::{database, pb, plugin};

macro_rules! name_only {
    ($($message:path),* $(,)?) => {
        $(impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($message)).finish_non_exhaustive()
            }
        })*
    };
}

name_only!(
    database::ChangePassword,
    database::InitializeRequest,
    database::InitializeResponse,
    database::NewUserRequest,
    database::Statements,
    pb::Auth,
    pb::Connection,
    pb::GenerateIdentityTokenResponse,
    pb::GeneratePasswordFromPolicyReply,
    pb::Header,
    pb::Request,
    pb::Response,
    pb::ResponseWrapDataArgs,
    pb::ResponseWrapInfo,
    pb::Secret,
    pb::SetupArgs,
    pb::StorageEntry,
    pb::TokenEntry,
    plugin::StdioData,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_message_shows_no_secret() {
        let request = pb::HandleRequestArgs {
            storage_id: 0,
            request: Some(Box::new(pb::Request {
                data: "hunter2".to_owned(),
                ..Default::default()
            })),
        };
        assert!(!format!("{request:?}").contains("hunter2"));
    }
}
