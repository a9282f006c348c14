//! What verbs share: the settings, and a client where one is needed.

use std::time::SystemTime;

use sealift_transfer::throttle::Limit;
use sealift_transfer::{Client, ClientOptions};

use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

/// The settings and the client of one run.
#[derive(Debug)]
pub(crate) struct ClientSession {
    pub(crate) settings: Settings,
    client: Option<Client>,
    /// What the verb wants of its connections.
    wishes: ConnectionWishes,
}

/// How transfers use connections; what is `None` is left to the engine.
#[derive(Debug, Default)]
pub(crate) struct ConnectionWishes {
    pub(crate) connections: Option<usize>,
    pub(crate) retries: Option<u32>,
    pub(crate) limit: Option<Limit>,
}

impl ClientSession {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, client: None, wishes: ConnectionWishes::default() }
    }

    /// How this program behaves on the wire.
    pub(crate) fn options(&self) -> ClientOptions {
        let usual = ClientOptions::default();
        ClientOptions {
            addresses: self.settings.server.iter().cloned().collect(),
            agent: concat!("sealift/", env!("CARGO_PKG_VERSION")).to_owned(),
            connections: self.wishes.connections.unwrap_or(usual.connections),
            // Who asks for some wants to see them used.
            eager: self.wishes.connections.is_some(),
            retries: self.wishes.retries.unwrap_or(usual.retries),
            limit: self.wishes.limit.clone(),
            ..usual
        }
    }

    /// Says how the connections are to be used that are made from now on.
    pub(crate) fn wish(&mut self, wishes: ConnectionWishes) {
        self.wishes = wishes;
    }

    /// The client of the profile that is meant. It connects when it is first asked to.
    pub(crate) fn client(&mut self) -> Result<&mut Client, Failure> {
        let client = match self.client.take() {
            Some(client) => client,
            None => Client::new(self.settings.load_profile()?, self.options()),
        };
        Ok(self.client.insert(client))
    }

    /// Says how the profile that was used is named, where a failure's advice would lead to another one.
    pub(crate) fn advise(&self, failure: Failure) -> Failure {
        let naming =
            self.settings.meant_profile().map(|name| self.settings.naming(&name)).unwrap_or_default();
        let is_about_joining = matches!(&*failure.code, "certificate-refused" | "profile");
        if naming.is_empty() || !is_about_joining || failure.hint.is_some() {
            return failure;
        }
        failure.hint(format!(
            "this is about one of several profiles: `sealift join TOKEN{naming}` renews it in its place"
        ))
    }

    /// Ends a run, whatever came of it: renews the certificate if that is due, and says goodbye.
    pub(crate) async fn end(self, can_renew: bool, printer: &mut Printer) {
        let Some(mut client) = self.client else { return };
        if can_renew && client.has_connected() && client.should_renew(SystemTime::now()) {
            // What the user asked for is over; a certificate that is not renewed today is renewed tomorrow.
            if let Err(error) = client.renew().await {
                printer.warning(&Failure::from(error).about("the certificate could not be renewed"));
            }
        }
        client.close().await;
    }
}
