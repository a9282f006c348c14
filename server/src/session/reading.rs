//! The loop that takes requests and the bodies of uploads.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sealift_protocol::io::StreamError;
use sealift_protocol::message::{
    FEATURES, Hello, Reply, Request, Trailer, Turn, WORKING, Welcome, decode, decode_request,
};
use sealift_protocol::{FrameKind, Header, VERSION};
use sealift_types::ErrorCode;
use tokio::sync::{mpsc, watch};
use tracing::{Instrument, debug, info_span};

use super::connection::{SessionReader, SessionSignals};
use super::pending::{QueuedReply, ReplySlot, SessionActivity};
use super::refused_body::RefusedBody;
use super::room::{RequestCharge, RequestRoom};
use crate::SERVER;
use crate::caller::Caller;
use crate::error::{Result, ServerError};
use crate::monitor::requests::AskedRequest;
use crate::offered_prefixes::OfferedPrefixes;
use crate::request::{self, put, slice};
use crate::state::ServerState;

pub(super) struct RequestLoop<'a> {
    pub(super) state: &'a Arc<ServerState>,
    pub(super) caller: &'a Caller,
    pub(super) signals: &'a SessionSignals,
    pub(super) reader: &'a mut SessionReader,
    pub(super) queue: mpsc::Sender<QueuedReply>,
    pub(super) serves: watch::Receiver<u64>,
    /// Requests queued as [`ReplySlot::Serve`].
    pub(super) asked: u64,
    /// Requests that were read.
    pub(super) number: u64,
    pub(super) room: RequestRoom,
    pub(super) busy: &'a SessionActivity,
    pub(super) prefixes: &'a OfferedPrefixes,
}

impl RequestLoop<'_> {
    pub(super) async fn run(mut self) -> Result<()> {
        let ended = self.requests().await;
        let broke = matches!(ended, Err(ServerError::Stream(StreamError::Io(_) | StreamError::Closed)));
        self.busy.cut.store(broke || self.reader.was_cut(), Ordering::Relaxed);
        if let Err(error) = ended {
            debug!(%error, "reading ended");
            self.push(None, None, ReplySlot::Close(error.to_wire())).await?;
        }
        Ok(())
    }

    async fn requests(&mut self) -> Result<()> {
        let mut greeted = false;
        // There after a request was answered whose body is still on its way.
        let mut refused: Option<RefusedBody> = None;
        while let Some(header) = self.next_header(greeted).await? {
            if header.kind() == FrameKind::Data {
                let Some(refused) = &mut refused else {
                    return Err(StreamError::Unexpected(FrameKind::Data).into());
                };
                refused.count(header)?;
                self.reader.skip(header).await?;
                continue;
            }
            let payload = self.reader.control(header).await?;
            if let Some(refused) = refused.as_mut().filter(|_| decode::<Turn>(payload).is_ok()) {
                refused.count(header)?;
                continue;
            }
            if refused.take().is_some() && decode::<Trailer>(payload).is_ok() {
                continue;
            }
            let request = decode_request(payload);
            let is_first = self.busy.begin();
            self.number += 1;
            let number = self.number;
            let asked = Some(AskedRequest::now(request.as_ref().ok()));
            let charge = Some(self.room.charge(self.state, self.caller, is_first, header.length()).await?);
            match request {
                Ok(Request::Hello(hello)) if !greeted => {
                    let welcome = welcome(self.caller, &hello)?;
                    self.busy.knows_working.store(hello.knows(WORKING), Ordering::Relaxed);
                    greeted = true;
                    self.push(asked, charge, ReplySlot::Ready(Box::new(welcome))).await?;
                }
                Ok(Request::Hello(_)) => return Err(bad_request("a second hello is not expected")),
                Ok(_) if !greeted => return Err(bad_request("the first request has to be a hello")),
                Ok(Request::Put(request)) => {
                    self.catch_up().await;
                    let span = info_span!("put", request = number, path = %request.path);
                    let before =
                        self.reader.bytes() - (header.length() + sealift_protocol::frame::HEADER) as u64;
                    let (state, caller, prefixes) = (self.state, self.caller, self.prefixes);
                    // Boxed, because an idle connection needs no room for it.
                    let accepting =
                        Box::pin(put::accept(state, caller, self.reader, request, before, prefixes));
                    match accepting.instrument(span).await? {
                        put::PutAcceptance::Committing(pending, transfer) => {
                            self.push(asked, charge, ReplySlot::Changed(pending, Some(transfer))).await?;
                        }
                        put::PutAcceptance::Answered { reply, body_follows } => {
                            refused = body_follows.then(RefusedBody::new);
                            self.push(asked, charge, ReplySlot::Ready(Box::new(reply))).await?;
                        }
                    }
                }
                Ok(Request::Slice(request)) => {
                    let span = info_span!("slice", request = number, offset = request.offset);
                    let accepting = slice::accept(self.state, self.caller, self.reader, request);
                    match accepting.instrument(span).await? {
                        slice::SliceAcceptance::Taken(order, index) => {
                            self.push(asked, charge, ReplySlot::Slice(order, index)).await?;
                        }
                        slice::SliceAcceptance::Welcome => {
                            self.push(asked, charge, ReplySlot::Ready(Box::new(Reply::Done {}))).await?;
                        }
                        slice::SliceAcceptance::Refused(error) => {
                            refused = Some(RefusedBody::new());
                            self.push(asked, charge, ReplySlot::Ready(Box::new(Reply::Error(error)))).await?;
                        }
                    }
                }
                Ok(request) => {
                    let disturbed = request::disturbs(&request);
                    match request::admit(self.state, &request).map(|()| request::change(request)) {
                        Err(refused) => {
                            let reply = request::to_reply(Err(refused));
                            self.push(asked, charge, ReplySlot::Ready(Box::new(reply))).await?;
                        }
                        Ok(Ok(change)) => {
                            self.catch_up().await;
                            let pending = request::submit(self.state, self.caller, change, disturbed).await;
                            self.push(asked, charge, ReplySlot::Changed(pending, None)).await?;
                        }
                        Ok(Err(request)) => {
                            self.asked += 1;
                            self.push(asked, charge, ReplySlot::Serve(request)).await?;
                        }
                    }
                }
                Err(error) => {
                    // Should it have been a put, its body follows; for everything else this changes nothing.
                    refused = Some(RefusedBody::new());
                    self.push(asked, charge, ReplySlot::Ready(Box::new(Reply::Error(error)))).await?;
                }
            }
        }
        Ok(())
    }

    /// Waits until every request before this one was served: each has to see the tree as it was then.
    async fn catch_up(&mut self) {
        let asked = self.asked;
        let _ = self.serves.wait_for(|served| *served == asked).await;
    }

    /// Waits for the next frame, as long as the connection may live.
    async fn next_header(&mut self, greeted: bool) -> Result<Option<Header>> {
        let timeouts = self.state.config().timeouts;
        let whole = if greeted { timeouts.idle() } else { timeouts.first_request() };
        let mut patience = whole;
        loop {
            let header = tokio::select! {
                biased;
                () = self.signals.revoked.cancelled() => return Err(ServerError::refused(
                    ErrorCode::CertificateRefused,
                    "this certificate is revoked: ask the server's administrator for a new token",
                )),
                header = self.reader.header(patience) => header,
                () = self.signals.shutdown.cancelled() => return Err(ServerError::Stopped),
            };
            return match header {
                Ok(header) => Ok(header),
                Err(error @ StreamError::Stalled(_)) if !self.reader.is_between_frames() => Err(error.into()),
                Err(StreamError::Stalled(_)) if !self.busy.is_idle() => {
                    // It waits for a reply that takes its time.
                    patience = whole;
                    continue;
                }
                Err(StreamError::Stalled(_)) => {
                    // Idleness begins with the last reply, not with the last request.
                    patience = whole.saturating_sub(self.busy.idle_for());
                    match patience.is_zero() {
                        true => Err(StreamError::Stalled(whole).into()),
                        false => continue,
                    }
                }
                Err(error) => Err(error.into()),
            };
        }
    }

    async fn push(
        &self,
        asked: Option<AskedRequest>,
        charge: Option<RequestCharge>,
        slot: ReplySlot,
    ) -> Result<()> {
        let queued = QueuedReply { asked, number: self.number, charge, slot };
        self.queue.send(queued).await.map_err(|_| ServerError::Stopped)
    }
}

fn welcome(caller: &Caller, hello: &Hello) -> Result<Reply> {
    if !hello.versions.contains(&VERSION) {
        return Err(ServerError::refused(
            ErrorCode::UnsupportedVersion,
            format!(
                "this server speaks version {VERSION} only, the client {:?}: update the older of the two",
                hello.versions
            ),
        ));
    }
    let agent: String = hello.agent.chars().filter(|c| !c.is_control()).take(100).collect();
    debug!(agent, "hello");
    Ok(Reply::Welcome(Welcome {
        version: VERSION,
        server: SERVER.into(),
        identity: caller.name.clone(),
        features: FEATURES
            .iter()
            .filter(|feature| hello.knows(feature))
            .map(|feature| (*feature).to_owned())
            .collect(),
    }))
}

fn bad_request(message: &str) -> ServerError {
    ServerError::refused(ErrorCode::BadRequest, message)
}
