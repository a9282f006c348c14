//! `sealift renew`

use clap::Args;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::session::ClientSession;
use crate::text;

/// Renew this computer's certificate now
///
/// Every other command does so by itself when less than a third of the certificate's life is left.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealift renew")]
pub(crate) struct RenewArgs {}

pub(crate) async fn run(
    _: RenewArgs,
    session: &mut ClientSession,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let validity = session.client()?.renew().await?;
    let expires = text::nanoseconds(validity.not_after);
    if printer.wants_json() {
        printer.object(&json!({ "type": "renewed", "expires": text::utc(expires) }))?;
    } else {
        let expires = text::local_second(expires, &TimeZone::system());
        printer.note(&format!("the certificate is renewed and expires {expires}"));
    }
    Ok(Exit::Done)
}
