//! `login/…`: a code for a login, and the login's renewal.

use std::collections::BTreeMap;

use palisade_plugin::{
    Alias, Answer, Auth, Call, Failure, Json, LeaseOptions, Operation, Path, Response, pattern,
};
use serde_json::json;

use crate::Passcode;
use crate::code::HashedCode;
use crate::user::{CODE, NAME, User};

pub(crate) fn path() -> Path<Passcode> {
    Path::new(format!("login/{}", pattern::name_with_at("name")))
        .field(&NAME)
        .field(&CODE)
        .write(login)
        .on(Operation::AliasLookahead, look_ahead)
        .help(
            "Logs in.",
            "Gives a token with the user's policies for the user's code.",
        )
}

/// One text for a wrong name and a wrong code: neither tells which names there are.
const WRONG: &str = "invalid username or passcode";

async fn login(_: &Passcode, call: Call<'_>) -> Answer {
    let (name, code) = (call.value(&NAME)?, call.value(&CODE)?);
    let user = User::load(call.storage(), &name).await?;
    let expected = user
        .as_ref()
        .map_or_else(HashedCode::of_nobody, |user| user.code.clone());
    match user {
        Some(user) if expected.matches(&code) => answer(auth(&name, &user)?),
        Some(_) => Err(Failure::refused(WRONG)),
        None => {
            // Compared all the same: the time it takes would tell.
            std::hint::black_box(expected.matches(&code));
            Err(Failure::refused(WRONG))
        }
    }
}

fn auth(name: &str, user: &User) -> Result<Auth, Failure> {
    Ok(Auth {
        lease: LeaseOptions {
            ttl: user.ttl(),
            renewable: true,
            ..LeaseOptions::default()
        },
        internal_data: Json::of(&json!({ "name": name }))?,
        display_name: name.to_owned(),
        policies: user.policies.clone(),
        metadata: BTreeMap::from([("username".to_owned(), name.to_owned())]),
        alias: Some(alias(name)),
        ..Auth::default()
    })
}

fn alias(name: &str) -> Alias {
    Alias {
        name: name.to_owned(),
        ..Alias::default()
    }
}

fn answer(auth: impl Into<Box<Auth>>) -> Answer {
    Ok(Some(Response {
        auth: Some(auth.into()),
        ..Response::default()
    }))
}

/// Tells whom a login would be for, without logging in.
async fn look_ahead(_: &Passcode, call: Call<'_>) -> Answer {
    let alias = alias(&call.value(&NAME)?);
    answer(Auth {
        alias: Some(alias),
        ..Auth::default()
    })
}

/// Renews a login for as long as its user is there and has the same policies as then.
pub(crate) async fn renew(_: &Passcode, call: Call<'_>) -> Answer {
    let known = call.request().auth.clone();
    let mut auth = known.ok_or_else(|| Failure::refused("request auth was nil"))?;
    let name = name_of(&auth)?;
    let Some(user) = User::load(call.storage(), &name).await? else {
        return Ok(None); // the user is gone: the login is not renewed
    };
    if auth.policies != user.policies {
        return Err(Failure::refused("policies have changed, not renewing"));
    }
    auth.lease.ttl = user.ttl();
    answer(auth)
}

fn name_of(auth: &Auth) -> Result<String, Failure> {
    let kept: BTreeMap<String, String> = auth.internal_data.parse()?;
    let name = kept.get("name").cloned();
    name.ok_or_else(|| Failure::internal("the login does not say whose it is"))
}
