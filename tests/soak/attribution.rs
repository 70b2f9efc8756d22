//! Which fault explains a failed batch: one that was in effect while the batch was.

use std::fmt;

/// The kind of an injected fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    SilentLoss,
    Unreachable,
    Restart,
    FullDisk,
    Certificates,
    /// Not injected, but seen by the probe.
    SlowBrokers,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::SilentLoss, Self::Unreachable, Self::Restart, Self::FullDisk, Self::Certificates, Self::SlowBrokers];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SilentLoss => "route lost, packets dropped",
            Self::Unreachable => "route lost, no route to host",
            Self::Restart => "node restarted",
            Self::FullDisk => "disk full",
            Self::Certificates => "certificates replaced",
            Self::SlowBrokers => "brokers slow, for another client too",
        })
    }
}

/// A fault, and the time of its effect, in ms since 1970.
#[derive(Clone, Debug)]
pub(crate) struct Injected {
    pub(crate) kind: Kind,
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

/// How long after the end of a fault its effects may last, in ms: TCP repeats a lost packet after up to twice the time for which
/// it was lost, and a request that was sent before it waits for `request.timeout.ms`.
pub(crate) const RECOVERY: u64 = 3_000;

/// Returns the fault that was in effect for the longest part of the time between the sending of a batch and its outcome, both in
/// ms since 1970. The replacement of certificates interrupts nothing, so it explains nothing. Slow brokers explain what no
/// injected fault does.
pub(crate) fn explanation(faults: &[Injected], sent: u64, ended: u64) -> Option<Kind> {
    let in_effect = |fault: &&Injected| fault.begin <= ended && sent <= fault.end + RECOVERY;
    let duration = |fault: &Injected| ended.min(fault.end + RECOVERY).saturating_sub(sent.max(fault.begin));
    let faults = faults.iter().filter(|fault| fault.kind != Kind::Certificates);
    let rank = |fault: &&Injected| (fault.kind != Kind::SlowBrokers, duration(fault));
    faults.filter(in_effect).max_by_key(rank).map(|fault| fault.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_explains_what_was_in_flight_during_it() {
        let fault = |kind, begin, end| Injected { kind, begin, end };
        let faults = [
            fault(Kind::Restart, 10_000, 12_000),
            fault(Kind::Certificates, 30_000, 31_000),
            fault(Kind::FullDisk, 50_000, 51_000),
            fault(Kind::SilentLoss, 53_000, 60_000),
            fault(Kind::SlowBrokers, 53_000, 90_000),
        ];
        for (sent, ended, expected) in [
            (1_000, 9_999, None),
            (1_000, 10_000, Some(Kind::Restart)),
            (11_000, 11_001, Some(Kind::Restart)),
            (12_000 + RECOVERY, 20_000, Some(Kind::Restart)),
            (12_001 + RECOVERY, 49_999, None),
            (49_000, 50_500, Some(Kind::FullDisk)),
            (52_000, 55_500, Some(Kind::SilentLoss)),
            (52_000, 54_500, Some(Kind::FullDisk)),
            (60_001 + RECOVERY, 70_000, Some(Kind::SlowBrokers)),
            (90_001 + RECOVERY, 99_000, None),
        ] {
            assert_eq!(explanation(&faults, sent, ended), expected, "{sent} to {ended}");
        }
    }
}
