//! The token of OAUTHBEARER: asked for before it is needed, and passed to the connections that wait for it.

use alloc::vec::Vec;

use super::Machine;
use crate::cause::OAuthError;
use crate::machine::credentials::Sasl;
use crate::machine::event::Event;
use crate::machine::io::{ConnectionId, Output};
use crate::machine::oauth::{OAuthBearer, OAuthToken};
use crate::machine::timers::Timer;
use crate::machine::token::{EXPIRY_MARGIN, RETRY_AFTER_ERROR, renewal};
use crate::time::Instant;
use crate::transport_error::TransportError;

impl Machine {
    /// Brings a token after [`Event::TokenRequired`], or the error of trying to get one. A token can be brought at any time:
    /// it replaces the present one. Without OAUTHBEARER ([`MachineConfig::sasl`](crate::machine::MachineConfig::sasl)) it has no
    /// effect.
    ///
    /// After an error the connections that wait for a token fail with [`OAuthError::NoToken`], and the machine asks again when
    /// it connects again; if the present token is still valid, after 10 s.
    ///
    /// ```
    /// use core::time::Duration;
    /// use kafka_batch_core::Timestamp;
    /// use kafka_batch_core::machine::{Clock, Event, Instant, Machine, MachineConfig, OAuthBearer, OAuthToken, Output};
    ///
    /// let mut config = MachineConfig::new([("localhost", 9092)]);
    /// config.sasl = Some(OAuthBearer::new().into());
    /// let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(0) };
    /// let mut machine = Machine::new(config, clock, 42);
    /// machine.lookup_topic("readings", clock.now);
    /// let Output::Event(Event::TokenRequired) = machine.poll_output(clock.now) else { panic!() };
    /// machine.set_token(Ok(OAuthToken::new("abc")?.lifetime(Duration::from_secs(3_600))), clock.now);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_token(&mut self, token: Result<OAuthToken, TransportError>, now: Instant) {
        self.advance(now);
        self.dirty = true;
        self.misuse.on_change(self.now);
        self.tokens.is_requested = false;
        self.expire_token();
        let Some(credentials) = self.bearer() else { return };
        match token {
            Ok(token) => {
                let lifetime = token.valid_for();
                credentials.token = Some(token);
                self.tokens.is_old = false;
                self.tokens.unusable_at = lifetime.map(|lifetime| self.now + lifetime.saturating_sub(EXPIRY_MARGIN));
                let due = lifetime.map(|lifetime| self.now + renewal(lifetime, &mut self.random));
                self.timers.set_or_clear(Timer::Token, due);
                for id in self.awaiting_token() {
                    let mut events = Vec::new();
                    if let Some(connection) = self.network.connections.get_mut(&id) {
                        connection.on_token(&self.config, self.now, &mut events);
                    }
                    self.apply_events(id, events);
                }
            }
            Err(error) => {
                if credentials.token.is_some() {
                    self.timers.set(Timer::Token, self.now + RETRY_AFTER_ERROR);
                }
                for id in self.awaiting_token() {
                    self.fail_connection(id, OAuthError::NoToken(error.clone()).into());
                }
            }
        }
    }

    fn bearer(&mut self) -> Option<&mut OAuthBearer> {
        match &mut self.config.sasl {
            Some(Sasl::OAuthBearer(credentials)) => Some(credentials),
            _ => None,
        }
    }

    fn awaiting_token(&self) -> Vec<ConnectionId> {
        let waiting = self.network.connections.iter().filter(|(_, connection)| connection.awaits_token());
        waiting.map(|(&id, _)| id).collect()
    }

    /// Forgets a token that has expired, or is about to.
    pub(super) fn expire_token(&mut self) {
        if self.tokens.unusable_at.is_some_and(|at| at <= self.now) {
            self.forget_token();
        }
    }

    /// Forgets a token that a broker has refused, or that has expired.
    pub(super) fn forget_token(&mut self) {
        if let Some(credentials) = self.bearer() {
            credentials.token = None;
            self.tokens.unusable_at = None;
            self.timers.remove(Timer::Token);
        }
    }

    /// Asks for a token if a connection that is to be authenticated will need one: the present one is missing, or old.
    pub(super) fn prepare_token(&mut self) {
        self.expire_token();
        let is_old = self.tokens.is_old;
        if self.bearer().is_some_and(|credentials| credentials.token.is_none() || is_old) {
            self.request_token();
        }
    }

    /// Asks the application for a token, once.
    pub(super) fn request_token(&mut self) {
        if !core::mem::replace(&mut self.tokens.is_requested, true) {
            self.outputs.push_back(Output::Event(Event::TokenRequired));
        }
    }

    /// Asks for another token before the present one expires, if any connection may need it.
    pub(super) fn on_token_due(&mut self) {
        match self.network.connections.is_empty() {
            true => self.tokens.is_old = true,
            false => self.request_token(),
        }
    }
}
