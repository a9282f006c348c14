//! `sealift whoami`

use std::time::SystemTime;

use clap::Args;
use jiff::tz::TimeZone;
use sealift_protocol::message::Account;
use sealift_transfer::remote;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::session::ClientSession;
use crate::text;

/// Show who you are on the server, and what you may do there
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealift whoami")]
pub(crate) struct WhoamiArgs {}

pub(crate) async fn run(
    _: WhoamiArgs,
    session: &mut ClientSession,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let connection = session.client()?.connection().await?;
    let account = remote::whoami(connection).await?;
    let address = connection.address().to_string();
    if printer.wants_json() {
        let Account { identity, uri, expires, server, spaces } = account;
        printer.object(&json!({
            "type": "account",
            "identity": identity,
            "uri": uri,
            "expires": text::utc(expires),
            "server": server,
            "address": address,
            "spaces": spaces,
        }))?;
        return Ok(Exit::Done);
    }
    let expires = text::local_second(account.expires, &TimeZone::system());
    let days = (account.expires - text::nanoseconds(SystemTime::now())) / (24 * 3600 * 1_000_000_000);
    let mut lines = vec![
        ("identity", account.identity.to_string()),
        ("uri", printer.name(&account.uri).into_owned()),
        ("certificate", format!("expires {expires}, in {days} days")),
        ("server", printer.name(&format!("{} at {address}", account.server)).into_owned()),
    ];
    for space in &account.spaces {
        lines.push((
            "space",
            printer.name(&format!("/{}: {}", space.space, space.rights.join(", "))).into_owned(),
        ));
    }
    printer.text(&text::block(&lines))?;
    Ok(Exit::Done)
}
