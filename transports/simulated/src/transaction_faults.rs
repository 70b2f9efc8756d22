//! How faults of transactions are drawn.

use std::time::Duration;

use kafka_batch_testing::simulated::Random;
use kafka_batch_testing::{ApiKey, CoordinatorKind, Fault, FaultKind};

use crate::faults::FaultAction;

/// The number of kinds for [`action`].
pub(crate) const KINDS: u64 = 16;

/// Error codes with which the coordinators and leaders of transactions refuse requests that are to be sent again.
const REFUSED: [i16; 5] = [14, 15, 16, 51, 7];
const PRODUCE_REFUSED: [i16; 3] = [19, 51, 6];
/// Error codes that a coordinator returns although it has written what was requested to its log: that was not replicated in time.
const DONE: [i16; 3] = [15, 16, 7];

/// Draws a fault of this kind.
pub(crate) fn action(kind: u64, brokers: usize, random: &mut Random) -> FaultAction {
    let broker = random.between(1, brokers as u64) as i32;
    let lasts = random.millis(1, *random.clone().pick(&[5, 200, 2_000, 12_000]));
    let position = random.below(1_000) as usize;
    match kind {
        0 | 1 => FaultAction::MoveCoordinators {
            kind: if kind == 0 { CoordinatorKind::Transaction } else { CoordinatorKind::Group },
            broker,
            without_leader: random.millis(0, 400),
        },
        2 => FaultAction::TimeOutTransaction { position },
        3 => FaultAction::DelayMarkers { position, lasts },
        // Not 0: Kafka 4.4 never completes a transaction of level 2 that it gets at level 0 from a client that has not heard of it.
        4 => FaultAction::SetTransactionVersion { level: random.between(1, 2) as i16 },
        _ => {
            let api = *random.pick(&[
                ApiKey::EndTxn,
                ApiKey::EndTxn,
                ApiKey::EndTxn,
                ApiKey::AddPartitionsToTxn,
                ApiKey::AddPartitionsToTxn,
                ApiKey::AddOffsetsToTxn,
                ApiKey::TxnOffsetCommit,
                ApiKey::TxnOffsetCommit,
                ApiKey::InitProducerId,
                ApiKey::FindCoordinator,
                ApiKey::Produce,
                ApiKey::Produce,
            ]);
            let fault = Fault::new(fault(kind, api, random)).api(api);
            let fault = fault.after(*random.pick(&[0, 0, 0, 1, 2, 5])).times(*random.pick(&[1, 1, 1, 2, 5]));
            FaultAction::Inject { broker, fault }
        }
    }
}

fn fault(kind: u64, api: ApiKey, random: &mut Random) -> FaultKind {
    let time: Duration = random.millis(1, *random.clone().pick(&[50, 500, 3_000, 35_000]));
    match kind {
        5 | 6 => {
            let codes: &[i16] = if api == ApiKey::Produce { &PRODUCE_REFUSED } else { &REFUSED };
            FaultKind::Refuse { code: *random.pick(codes), all: random.percent(50) }
        }
        7 if api == ApiKey::EndTxn => FaultKind::ExecuteAndRefuse { code: *random.pick(&DONE) },
        7 | 8 => FaultKind::DropResponse,
        9 => FaultKind::DropRequest,
        // Later than the client waits: the request arrives when its connection is closed.
        10..=12 => FaultKind::DelayRequest(time),
        13 => FaultKind::DelayResponse(time),
        _ => FaultKind::CloseConnection { executed: random.percent(60) },
    }
}
