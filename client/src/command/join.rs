//! `sealift join TOKEN`

use std::io::{self, Read};

use clap::Args;
use sealift_certs::JoinToken;
use sealift_transfer::join::join;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::session::Session;
use crate::text;

/// Join a server with a token from its administrator
///
/// Makes a private key, which never leaves this computer, obtains a certificate for it, and saves both as a profile:
/// `default`, or the one that --profile names. A token works once. The certificate renews by itself.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sealift join sealift-join:AbCd...\n  \
    sealift join --profile work sealift-join:AbCd...\n  ssh server sealiftd invite alice | sealift join -")]
pub(crate) struct Join {
    /// What `sealiftd invite NAME` printed on the server, or - to read it from standard input
    token: String,
}

pub(crate) async fn run(
    arguments: Join,
    session: &mut Session,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let token = read(arguments.token)?.parse::<JoinToken>()?;
    let name = session.settings.new_profile();
    // First of all, so that no token is spent on a certificate that cannot be kept.
    let place = session.settings.profiles.reserve(&name)?;
    let enrolment = join(&token, &session.options()).await?;
    let profile = place.save(&enrolment)?;

    let expires = text::nanoseconds(profile.validity()?.not_after);
    if printer.wants_json() {
        printer.object(&json!({
            "type": "joined",
            "identity": profile.identity,
            "trust_domain": profile.trust_domain.as_str(),
            "profile": name,
            "server": profile.addresses.first().map(ToString::to_string),
            "expires": text::utc(expires),
        }))?;
    } else {
        let server = profile.addresses.first().map(ToString::to_string).unwrap_or_default();
        printer.note(&format!("joined {server} as {}, saved as the profile {name}", profile.identity));
        printer.note("try it: sealift put FILE, then sealift ls -l");
    }
    Ok(Exit::Done)
}

fn read(argument: String) -> Result<String, Failure> {
    /// More than any token has.
    const MOST: u64 = 64 * 1024;
    if argument != "-" {
        return Ok(argument);
    }
    let mut token = String::new();
    io::stdin().take(MOST).read_to_string(&mut token).map_err(|error| {
        let reason = sealift_transfer::error::plain(&error);
        Failure::usage(format!("cannot read a token from standard input: {reason}"))
            .hint("pipe what `sealiftd invite NAME` prints into this command")
    })?;
    Ok(token)
}
