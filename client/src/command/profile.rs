//! `sealift profile`

use std::time::SystemTime;

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use sealift_transfer::configuration::select_profile;
use sealift_types::Name;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::session::ClientSession;
use crate::text;

/// List, select, rename and remove the saved profiles
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sealift profile list\n  sealift profile use work\n  \
    sealift profile rename default home")]
pub(crate) struct ProfileArgs {
    #[command(subcommand)]
    action: ProfileAction,
}

#[derive(Debug, Subcommand)]
enum ProfileAction {
    /// List the profiles with their identities, servers and the end of their certificates
    List,
    /// Select the profile that is meant when none is named
    Use {
        /// The profile
        name: Name,
    },
    /// Give a profile another name
    Rename {
        /// The profile
        from: Name,
        /// Its new name
        to: Name,
    },
    /// Remove a profile with its private key: to come back, this computer needs a new token
    Remove {
        /// The profile
        name: Name,
    },
}

pub(crate) fn run(
    profile: &ProfileArgs,
    session: &ClientSession,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let settings = &session.settings;
    match &profile.action {
        ProfileAction::List => list(session, printer)?,
        ProfileAction::Use { name } => {
            // Not one that is not there, or is damaged.
            settings.profiles.load(name)?;
            select_profile(&settings.directory, Some(name))?;
            done(printer, &json!({ "type": "selected", "profile": name }))?;
            printer.note(&format!("the profile {name} is meant when none is named"));
            if let Some(other) = settings.profile_in_environment.as_ref().filter(|other| *other != name) {
                printer.note(&format!("but SEALIFT_PROFILE is set to {other}, which counts more: unset it"));
            }
        }
        ProfileAction::Rename { from, to } => {
            settings.profiles.rename(from, to)?;
            if settings.profile_in_file.as_ref() == Some(from) {
                select_profile(&settings.directory, Some(to))?;
            }
            done(printer, &json!({ "type": "renamed", "from": from, "to": to }))?;
            printer.note(&format!("the profile {from} is called {to} now"));
        }
        ProfileAction::Remove { name } => {
            settings.profiles.remove(name)?;
            if settings.profile_in_file.as_ref() == Some(name) {
                select_profile(&settings.directory, None)?;
            }
            done(printer, &json!({ "type": "removed", "profile": name }))?;
            printer.note(&format!("the profile {name} is removed, with its private key"));
        }
    }
    Ok(Exit::Done)
}

/// Tells programs what was done; people get a note.
fn done(printer: &mut Printer, object: &serde_json::Value) -> Result<(), Failure> {
    if printer.wants_json() { printer.object(object) } else { Ok(()) }
}

fn list(session: &ClientSession, printer: &mut Printer) -> Result<(), Failure> {
    let settings = &session.settings;
    let meant = settings.meant_profile().ok();
    let mut rows = Vec::new();
    for name in settings.profiles.names()? {
        let is_meant = meant.as_ref() == Some(&name);
        let loaded = settings.profiles.load(&name);
        let (identity, server, expires, trouble) = match &loaded {
            Ok(profile) => {
                let expires = profile.validity().ok().map(|validity| validity.not_after);
                let server = profile.addresses.first().map(ToString::to_string);
                (Some(profile.identity.to_string()), server, expires, None)
            }
            Err(error) => (None, None, None, Some(error.to_string())),
        };
        if printer.wants_json() {
            printer.object(&json!({
                "type": "profile",
                "profile": name,
                "selected": is_meant,
                "identity": identity,
                "server": server,
                "expires": expires.map(|expires| text::utc(text::nanoseconds(expires))),
                "trouble": trouble,
            }))?;
            continue;
        }
        let ends = |moment: SystemTime| {
            let word = if moment <= SystemTime::now() { "expired" } else { "expires" };
            let moment = text::local_second(text::nanoseconds(moment), &TimeZone::system());
            format!("{word} {moment}")
        };
        let about = match (identity, server, trouble) {
            (Some(identity), server, _) => {
                let ends = expires.map(ends).unwrap_or_default();
                format!("{identity} at {}, {ends}", server.unwrap_or_default())
            }
            (None, _, trouble) => trouble.unwrap_or_default(),
        };
        rows.push((format!("{} {name}", if is_meant { '*' } else { ' ' }), about));
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, about) in rows {
        let line = printer.name(&format!("{name:width$}  {about}")).into_owned();
        printer.line(&line)?;
    }
    Ok(())
}
