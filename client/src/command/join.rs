//! `sealift join TOKEN`

use std::io::{self, Read};

use clap::Args;
use sealift_certs::JoinToken;
use sealift_transfer::join::join;
use sealift_transfer::profile::ProfileError;
use sealift_types::Name;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::session::ClientSession;
use crate::text;

/// Join a server with a token from its administrator
///
/// Makes a private key, which never leaves this computer, obtains a certificate for it, and saves both as a profile:
/// `default`, or the one that --profile names. A token works once. The certificate renews by itself.
/// If that is a profile of the same server and of the identity that the token is for, the new one takes its place. A
/// profile of another identity stays, and the new one gets its identity's name.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sealift join sealift-join:AbCd...\n  \
    sealift join --profile work sealift-join:AbCd...\n  ssh server sealiftd invite alice | sealift join -")]
pub(crate) struct JoinArgs {
    /// What `sealiftd invite NAME` printed on the server, or - to read it from standard input
    token: String,
}

pub(crate) async fn run(
    arguments: JoinArgs,
    session: &mut ClientSession,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let token = read(arguments.token)?.parse::<JoinToken>()?;
    let name = session.settings.new_profile();
    // First of all, so that no token is spent on a certificate that cannot be kept.
    let profiles = &session.settings.profiles;
    let before = profiles.identity(&name);
    let (place, again) = match profiles.reserve(&name) {
        Err(ProfileError::Exists { .. }) if profiles.may_be_replaced(&name, &token) => {
            (profiles.reserve_again(&name), true)
        }
        place => (place, false),
    };
    let place = place.map_err(|error| occupied(error, &name))?;
    let enrolment = join(&token, &session.options()).await?;
    // The token may be for somebody else than the profile is, who stays then. So does a profile that cannot be read.
    let stays = before.map_or(true, |before| before.is_some_and(|before| before != enrolment.identity));
    let place = if again && stays { place.beside() } else { place };
    let profile = place.save(&enrolment)?;
    let naming = session.settings.naming(&profile.name);

    let expires = text::nanoseconds(profile.validity()?.not_after);
    if printer.wants_json() {
        printer.object(&json!({
            "type": "joined",
            "identity": profile.identity,
            "trust_domain": profile.trust_domain.as_str(),
            "profile": profile.name,
            "server": profile.addresses.first().map(ToString::to_string),
            "expires": text::utc(expires),
        }))?;
    } else {
        let server = profile.addresses.first().map(ToString::to_string).unwrap_or_default();
        printer
            .note(&format!("joined {server} as {}, saved as the profile {}", profile.identity, profile.name));
        printer.note(&format!("try it: sealift put FILE{naming}, then sealift ls -l{naming}"));
    }
    Ok(Exit::Done)
}

/// Says how to get past a profile that is in the way.
fn occupied(error: ProfileError, name: &Name) -> Failure {
    let is_occupied = matches!(error, ProfileError::Exists { .. });
    let failure = Failure::from(error);
    if !is_occupied {
        return failure;
    }
    Failure { hint: None, ..failure }.hint(format!(
        "it is of another server, and the token is not used yet: `sealift join TOKEN --profile NAME` saves it beside, \
         `sealift profile remove {name}` removes the old one"
    ))
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
