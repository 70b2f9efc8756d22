//! Starting again from the bootstrap servers (KIP-899, KIP-1102).

use alloc::vec::Vec;

use super::Machine;
use crate::cause::ConnectionErrorKind;
use crate::machine::config::MetadataRecoveryStrategy;
use crate::machine::io::ConnectionId;
use crate::machine::timers::Timer;
use crate::protocol::{ApiKey, BrokerError, ErrorCode};

impl Machine {
    /// Sets the timer that starts again, unless it is set, because metadata is needed.
    pub(super) fn start_rebootstrap_timer(&mut self) {
        if self.config.metadata_recovery_strategy == MetadataRecoveryStrategy::Rebootstrap {
            let since = *self.refresh.needed_since.get_or_insert(self.now);
            if !self.timers.is_set(Timer::Rebootstrap) {
                let due = since + self.config.metadata_recovery_rebootstrap_trigger;
                self.timers.set(Timer::Rebootstrap, due);
            }
        }
    }

    /// Records that no metadata is to be requested, or that it was obtained.
    pub(super) fn stop_rebootstrap_timer(&mut self) {
        if self.refresh.needed_since.take().is_some() {
            self.timers.remove(Timer::Rebootstrap);
        }
    }

    /// Starts again, since metadata was needed and was not obtained. Until then, failed brokers were tried in turns with the bootstrap
    /// servers.
    pub(super) fn on_rebootstrap_due(&mut self) {
        self.refresh.needed_since = None;
        if self.cluster.brokers().next().is_some() {
            self.cluster.discard();
            self.leaders_changed();
            let limit = self.config.metadata_recovery_rebootstrap_trigger;
            self.fail_all_connections(&ConnectionErrorKind::Rebootstrap { limit });
        }
    }

    /// Closes all connections if a broker has responded REBOOTSTRAP_REQUIRED.
    pub(super) fn rebootstrap_if_required(&mut self) {
        if core::mem::take(&mut self.refresh.rebootstrap_required) {
            let error = BrokerError::new(ApiKey::Metadata, ErrorCode::REBOOTSTRAP_REQUIRED);
            self.fail_all_connections(&error.into());
        }
    }

    fn fail_all_connections(&mut self, kind: &ConnectionErrorKind) {
        let all: Vec<ConnectionId> = self.network.connections.keys().copied().collect();
        for id in all {
            self.fail_connection(id, kind.clone());
        }
    }
}
