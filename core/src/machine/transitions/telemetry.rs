//! Telemetry: its requests, its responses, and its end. No request of another kind waits for it.

use alloc::vec::Vec;

use bytes::Bytes;

use super::Machine;
use super::responses::InFlightRequest;
use crate::machine::event::Event;
use crate::machine::io::{ConnectionId, Output};
use crate::machine::node::Node;
use crate::machine::telemetry::{self, Measured, PushTime, Selection, Subscription, Telemetry, TelemetryRequest};
use crate::machine::timers::Timer;
use crate::machine::versions::Versions;
use crate::magic::Magic;
use crate::protocol::{
    ApiKey, BrokerError, ErrorCode, GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse,
    PushTelemetryRequest, PushTelemetryResponse,
};
use crate::time::Instant;

impl Machine {
    /// Starts telemetry with the first broker that takes it.
    pub(super) fn start_telemetry(&mut self, versions: Versions) {
        if versions.telemetry.is_some() && self.config.enable_metrics_push && self.telemetry.is_none() {
            self.telemetry = Some(Telemetry::new(self.now).into());
        }
    }

    /// Returns the next request of telemetry, if one is due and a connection is ready. Does not connect for it.
    pub(super) fn request_telemetry(&mut self) -> Option<(ConnectionId, Vec<Bytes>)> {
        let (request, subscription) = self.telemetry.as_ref()?.due(self.now)?;
        let id = self.network.least_loaded_with_telemetry(self.now)?;
        match (request, subscription) {
            (TelemetryRequest::Push, Some(subscription)) => self.push(id, &subscription),
            (TelemetryRequest::GetSubscriptions | TelemetryRequest::Push, _) => self.request_subscription(id),
        }
    }

    fn request_subscription(&mut self, id: ConnectionId) -> Option<(ConnectionId, Vec<Bytes>)> {
        let connection = self.network.connections.get(&id)?;
        let version = connection.versions()?.telemetry?.get_telemetry_subscriptions;
        let request = GetTelemetrySubscriptionsRequest { client_instance_id: self.telemetry.as_ref()?.id_to_send() };
        let encoded = request.encode(version, connection.header(&self.config)).ok();
        let telemetry = self.telemetry.as_mut()?;
        match &encoded {
            Some(_) => telemetry.sent(TelemetryRequest::GetSubscriptions, None),
            None => telemetry.omitted(self.now),
        }
        self.update_telemetry_timer();
        let bytes = encoded?;
        let sent = InFlightRequest::Telemetry { request: TelemetryRequest::GetSubscriptions, size: 0 };
        self.register(id, ApiKey::GetTelemetrySubscriptions, version, sent);
        Some((id, bytes))
    }

    fn push(&mut self, id: ConnectionId, subscription: &Subscription) -> Option<(ConnectionId, Vec<Bytes>)> {
        let mut measured = self.measure();
        if let Some(earlier) = self.telemetry.as_ref()?.not_pushed() {
            measured.include_longest(earlier);
        }
        let payload = self.payload(&measured, subscription);
        let telemetry = self.telemetry.as_mut()?;
        let Some((metrics, codec)) = payload else {
            telemetry.omitted(self.now);
            self.update_telemetry_timer();
            self.dirty = true; // if this was to be the last push, the producer is closed now
            return None;
        };
        let connection = self.network.connections.get(&id)?;
        let version = connection.versions()?.telemetry?.push_telemetry;
        let request = PushTelemetryRequest {
            client_instance_id: telemetry.id_to_send(),
            subscription_id: subscription.id,
            terminating: telemetry.is_terminating(),
            compression_type: codec,
            metrics: &metrics,
        };
        let encoded = request.encode(version, connection.header(&self.config)).ok();
        match &encoded {
            Some(_) => telemetry.sent(TelemetryRequest::Push, Some(measured.into_baseline(self.now))),
            None => telemetry.omitted(self.now),
        }
        self.update_telemetry_timer();
        let bytes = encoded?;
        let sent = InFlightRequest::Telemetry { request: TelemetryRequest::Push, size: metrics.len() };
        self.register(id, ApiKey::PushTelemetry, version, sent);
        Some((id, bytes))
    }

    /// Returns what was measured so far, with the longest times since the last call.
    fn measure(&mut self) -> Measured {
        let mut measured = Measured { queue: self.accumulator.topics.take_queue_window(), ..Measured::default() };
        for (node, counters) in self.network.counters_mut() {
            measured.connections += counters.established();
            measured.throttle.add(counters.take_throttle_window());
            if let Node::Broker(id) = node {
                measured.latencies.insert(id, counters.take_latency_window());
            }
        }
        measured
    }

    /// Returns the metrics as they are sent, and the id of their codec. `None` if nothing is small enough for the broker, or was
    /// measured.
    fn payload(&self, measured: &Measured, subscription: &Subscription) -> Option<(Vec<u8>, i8)> {
        let labels: Vec<_> = telemetry::labels(&self.config).collect();
        let time = PushTime { now: self.now, wall: self.wall_time(self.now), started: self.started.now };
        let baseline = self.telemetry.as_ref()?.baseline();
        [false, true].into_iter().find_map(|is_short| {
            let raw = measured.encode(baseline, subscription, is_short, &labels, time)?;
            let mut compressed = Vec::new();
            let codec = subscription.compression.codec();
            let (metrics, codec) = match subscription.compression.compress(Magic::V2, &raw, &mut compressed) {
                Ok(()) if codec.id() != 0 => (compressed, codec.id()),
                _ => (raw, 0),
            };
            (metrics.len() <= subscription.max_bytes).then_some((metrics, codec as i8))
        })
    }

    /// Handles the response to a request of telemetry. `size`: that of the pushed metrics, in bytes.
    pub(super) fn on_telemetry_response(
        &mut self,
        (id, version): (ConnectionId, i16),
        frame: &[u8],
        request: TelemetryRequest,
        size: usize,
    ) {
        let now = self.now;
        let handled = match request {
            TelemetryRequest::GetSubscriptions => {
                let mut selection = Selection::default();
                GetTelemetrySubscriptionsResponse::read(frame, version, |name| selection.add(name)).map(|response| {
                    let random = &mut self.random;
                    let telemetry = self.telemetry.as_mut();
                    let refused =
                        telemetry.and_then(|telemetry| telemetry.on_subscription(&response, selection, now, random));
                    (ApiKey::GetTelemetrySubscriptions, response.throttle_time_ms, refused)
                })
            }
            TelemetryRequest::Push => PushTelemetryResponse::decode(frame, version).map(|response| {
                let telemetry = self.telemetry.as_mut();
                let refused = telemetry.and_then(|telemetry| telemetry.on_pushed(response.error_code, size, now));
                (ApiKey::PushTelemetry, response.throttle_time_ms, refused)
            }),
        };
        match handled {
            Ok((api, throttle_time_ms, refused)) => {
                if api.client_throttles(version) {
                    self.throttle(id, throttle_time_ms);
                }
                if let Some(code) = refused {
                    self.report_refused_telemetry(id, api, version, code);
                }
                self.update_telemetry_timer();
            }
            Err(error) => {
                self.on_no_telemetry_response();
                self.fail_connection(id, error.into());
            }
        }
    }

    fn report_refused_telemetry(&mut self, id: ConnectionId, api: ApiKey, version: i16, code: ErrorCode) {
        let error = BrokerError::new(api, code).with_version(version).with_broker(self.network.broker(id));
        self.outputs.push_back(Output::Event(Event::TelemetryRefused(error)));
    }

    pub(super) fn on_no_telemetry_response(&mut self) {
        if let Some(telemetry) = &mut self.telemetry {
            telemetry.on_no_response(self.now);
        }
        self.update_telemetry_timer();
    }

    /// Ends telemetry with a last push, before the producer is closed. Returns `true` once nothing is to be waited for.
    pub(super) fn end_telemetry(&mut self) -> bool {
        let can_push = self.network.least_loaded_with_telemetry(self.now).is_some();
        let Some(telemetry) = &mut self.telemetry else { return true };
        let has_ended = telemetry.terminate(can_push, self.now);
        self.update_telemetry_timer();
        has_ended
    }

    /// Sets the timer for the next request of telemetry.
    fn update_telemetry_timer(&mut self) {
        let at: Option<Instant> = self.telemetry.as_ref().and_then(|telemetry| telemetry.wakes_at());
        self.timers.set_or_clear(Timer::Telemetry, at);
    }
}
