//! What a server prints on standard output when it is ready: where it is and, at its first start, the root token.

use std::io::Write;
use std::net::SocketAddr;

use super::TokenSink;
use super::identity::NewToken;
use super::plan::Plan;
use crate::cli::Failure;

/// Prints it. The lines `Api Address:` and `Root Token:` have OpenBao's form, because scripts look for them.
pub(super) fn print(
    plan: &Plan,
    addresses: &[SocketAddr],
    token: Option<&NewToken>,
) -> Result<(), Failure> {
    let url = addresses
        .first()
        .map(|address| format!("http://{address}"))
        .unwrap_or_default();
    let mut text = configuration(plan, addresses, &url);
    text.push_str(&match (plan.dev, token) {
        (true, token) => development(&url, token),
        (false, Some(token)) => first_start(token),
        (false, None) => String::new(),
    });
    text.push_str("==> Palisade server started! Log data will stream in below:\n");
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::from)
}

fn configuration(plan: &Plan, addresses: &[SocketAddr], url: &str) -> String {
    let listeners = addresses.iter().enumerate().map(|(at, address)| {
        (
            format!("Listener {}", at + 1),
            format!("tcp (addr: \"{address}\", tls: \"disabled\")"),
        )
    });
    let directory = plan
        .plugin_directory
        .as_ref()
        .map(|path| path.display().to_string());
    let mut lines = vec![(
        "Api Address".to_owned(),
        plan.api_addr.clone().unwrap_or_else(|| url.to_owned()),
    )];
    lines.extend(listeners);
    lines.extend([
        ("Log Level".to_owned(), plan.log_level.clone()),
        (
            "Plugin Directory".to_owned(),
            directory.unwrap_or_else(|| "none".to_owned()),
        ),
        ("Seal".to_owned(), plan.seal()),
        ("Storage".to_owned(), plan.storage_type().to_owned()),
        (
            "Version".to_owned(),
            format!("Palisade v{}", env!("CARGO_PKG_VERSION")),
        ),
    ]);
    if let TokenSink::File(path) = &plan.token_sink {
        lines.push(("Root Token File".to_owned(), path.display().to_string()));
    }
    let lines: String = lines
        .iter()
        .map(|(title, value)| format!("{title:>24}: {value}\n"))
        .collect();
    format!("==> Palisade server configuration:\n\n{lines}\n")
}

fn development(url: &str, token: Option<&NewToken>) -> String {
    let token = token.map(|token| token.0.as_str()).unwrap_or_default();
    format!(
        "WARNING! This is a development server: it is unsealed, everything is in memory and\n\
         is gone when it ends, and nothing is encrypted on the way. Do not keep secrets in it.\n\n\
         For the command line, set:\n\n\
         \x20   $ export BAO_ADDR='{url}'\n\
         \x20   $ export BAO_TOKEN='{token}'\n\n\
         Root Token: {token}\n\n"
    )
}

fn first_start(token: &NewToken) -> String {
    format!(
        "This is the first start over this storage, which is initialized now. The root token is shown\n\
         this once and not kept; without it there is no way in.\n\n\
         Root Token: {}\n\n",
        token.0.as_str()
    )
}
