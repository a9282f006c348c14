//! The loop that answers requests in their order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sealift_protocol::message::{Get, Reply, Request};
use tokio::sync::{mpsc, watch};
use tracing::{Instrument, debug, info_span};

use super::connection::{SessionWriter, say_goodbye};
use super::pending::{QueuedReply, ReplySlot, SessionActivity};
use super::room::RequestCharge;
use crate::budget::BudgetLoan;
use crate::caller::Caller;
use crate::error::Result;
use crate::monitor::requests::{AskedRequest, RequestOutcome};
use crate::offered_prefixes::OfferedPrefixes;
use crate::request::get::RangedRead;
use crate::request::{self, WaitingClient, slice};
use crate::state::ServerState;
use crate::store::catalog::PendingCommit;

/// Gets that are looked up together.
const LOOK_UPS: usize = 32;

/// Bytes of replies that are gathered before they are sent although more are ready.
const GATHER: usize = 32 * 1024;

/// Memory that answers take until the client reads them: records that are sealed and not sent, gathered replies, small
/// contents or a page of a listing, or the first block of a download.
const ANSWERS: usize = 512 * 1024;

pub(super) struct ReplyLoop<'a> {
    pub(super) state: &'a Arc<ServerState>,
    pub(super) caller: &'a Caller,
    pub(super) writer: &'a mut SessionWriter,
    pub(super) slots: mpsc::Receiver<QueuedReply>,
    /// One that came behind gets and has to wait for its turn.
    pub(super) held: Option<QueuedReply>,
    /// What the last get sent a range of.
    pub(super) carried: Option<RangedRead>,
    /// The memory for answers, while there are any.
    pub(super) answers: Option<BudgetLoan>,
    pub(super) served: watch::Sender<u64>,
    pub(super) busy: &'a SessionActivity,
    pub(super) prefixes: &'a OfferedPrefixes,
}

impl ReplyLoop<'_> {
    /// Returns whether the server ended the conversation.
    pub(super) async fn run(mut self) -> Result<bool> {
        while let Some(QueuedReply { asked, number, charge, slot }) = self.next_slot().await? {
            if !matches!(&slot, ReplySlot::Serve(request) if matches!(**request, Request::Get(_))) {
                self.end_ranges().await;
            }
            let outcome = match slot {
                ReplySlot::Ready(reply) => {
                    request::push(self.writer, &reply)?;
                    RequestOutcome::of(&reply)
                }
                ReplySlot::Changed(pending, transfer) => {
                    let outcome = self.conclude(pending).await?;
                    // Here it is logged.
                    drop(transfer);
                    outcome
                }
                ReplySlot::Slice(order, index) => {
                    if order.next() <= index {
                        self.writer.flush().await?;
                    }
                    let passed = order.passed(index).await;
                    let reply = if passed { Ok(Reply::Done {}) } else { Err(slice::absent()) };
                    let reply = request::to_reply(reply);
                    request::push(self.writer, &reply)?;
                    RequestOutcome::of(&reply)
                }
                ReplySlot::Serve(request) => match *request {
                    Request::Get(get) => {
                        self.gets(get, asked, number, charge).await?;
                        continue;
                    }
                    other => {
                        let span = info_span!("request", request = number);
                        let knows_working = self.busy.knows_working.load(Ordering::Relaxed);
                        let waiting =
                            WaitingClient::new(self.state, self.writer, &self.busy.cut, knows_working);
                        let serving = request::serve(self.state, self.caller, self.prefixes, waiting, other);
                        let outcome = serving.instrument(span).await?;
                        self.served.send_modify(|served| *served += 1);
                        outcome
                    }
                },
                ReplySlot::Close(error) => {
                    say_goodbye(self.writer, error).await?;
                    return Ok(true);
                }
            };
            self.answered(asked, outcome);
            drop(charge);
            if self.writer.pending() > GATHER {
                self.writer.flush().await?;
            }
        }
        self.end_ranges().await;
        self.writer.close().await?;
        Ok(false)
    }

    /// The log gets its row of what was sent in ranges.
    async fn end_ranges(&mut self) {
        if let Some(carried) = self.carried.take() {
            carried.finish(self.busy.cut.load(Ordering::Relaxed)).await;
        }
    }

    /// Notes that a request was answered.
    fn answered(&self, asked: Option<AskedRequest>, outcome: RequestOutcome) {
        self.busy.end();
        if let Some(asked) = asked {
            self.state.monitor.requests.answered(&asked, outcome);
            if let Some(audited) = asked.audited.filter(|_| outcome == RequestOutcome::Ok) {
                audited.log(&self.caller.name, &self.caller.address);
            }
        }
    }

    /// Serves a get and those right behind it: what is asked for in a row is looked up in one go.
    async fn gets(
        &mut self,
        first: Get,
        asked: Option<AskedRequest>,
        number: u64,
        charge: Option<RequestCharge>,
    ) -> Result<()> {
        let mut gets = VecDeque::from([first]);
        let mut askers = VecDeque::from([(asked, number, charge)]);
        while !gets.is_empty() {
            while self.held.is_none() && gets.len() < LOOK_UPS {
                match self.slots.try_recv() {
                    Ok(QueuedReply { asked, number, charge, slot: ReplySlot::Serve(request) }) => {
                        match *request {
                            Request::Get(get) => {
                                gets.push_back(get);
                                askers.push_back((asked, number, charge));
                            }
                            other => {
                                let slot = ReplySlot::Serve(Box::new(other));
                                self.held = Some(QueuedReply { asked, number, charge, slot });
                            }
                        }
                    }
                    Ok(other) => self.held = Some(other),
                    Err(_) => break,
                }
            }
            for found in Box::pin(request::get::find_all(self.state, self.caller, &gets)).await? {
                let path = gets.pop_front().map(|get| get.path);
                let (asked, number, _charge) = askers.pop_front().unwrap_or((None, 0, None));
                let span = info_span!("get", request = number, path = path.map(tracing::field::display));
                let sending = request::get::send(self.state, self.writer, found, &mut self.carried);
                let outcome = Box::pin(sending).instrument(span).await?;
                self.served.send_modify(|served| *served += 1);
                self.answered(asked, outcome);
                if self.writer.pending() > GATHER {
                    self.writer.flush().await?;
                }
            }
        }
        Ok(())
    }

    /// The next reply to be; what is gathered is sent before waiting for one.
    async fn next_slot(&mut self) -> Result<Option<QueuedReply>> {
        if let Some(slot) = self.held.take() {
            return Ok(Some(slot));
        }
        if let Ok(slot) = self.slots.try_recv() {
            return self.with_room(slot).await.map(Some);
        }
        self.writer.flush().await?;
        self.answers = None;
        match self.slots.recv().await {
            Some(slot) => self.with_room(slot).await.map(Some),
            None => Ok(None),
        }
    }

    /// Waits for the memory that answers need, where some are to be made. If there is none to be had, the client is told.
    async fn with_room(&mut self, queued: QueuedReply) -> Result<QueuedReply> {
        if self.answers.is_none() && !matches!(queued.slot, ReplySlot::Close(_)) {
            match self.state.memory(self.caller.identity, ANSWERS).await {
                Ok(answers) => self.answers = Some(answers),
                Err(error) => {
                    debug!(%error, "no memory for an answer");
                    return Ok(QueuedReply { slot: ReplySlot::Close(error.to_wire()), ..queued });
                }
            }
        }
        Ok(queued)
    }

    /// Replies with what came of a change; what is gathered is sent before waiting for its commit.
    async fn conclude(&mut self, pending: PendingCommit<Reply>) -> Result<RequestOutcome> {
        let result = match pending.try_now() {
            Ok(result) => result,
            Err(pending) => {
                self.writer.flush().await?;
                pending.wait().await
            }
        };
        let reply = request::to_reply(result);
        request::push(self.writer, &reply)?;
        Ok(RequestOutcome::of(&reply))
    }
}
