//! Seeds that once failed, each with the cause. A seed stands for the same schedule only while the generator is
//! unchanged, so each cause is described, and has a scenario where one can be written.

use kafka_batch_simulation::run::run_twice;
use kafka_batch_simulation::schedule::Schedule;

fn holds(seed: u64) {
    let report = run_twice(&Schedule::from_seed(seed));
    assert!(report.violation.is_none(), "seed {seed}: {}", report.violation.unwrap());
}

/// The broker was wrong: it returned DUPLICATE_SEQUENCE_NUMBER for a batch that it had just rejected.
#[test]
fn only_an_appended_batch_can_be_a_duplicate() {
    for seed in [104_057, 106_498, 113_846, 119_140, 119_586] {
        holds(seed);
    }
}

/// The law was wrong: a 0.11 broker returned DUPLICATE_SEQUENCE_NUMBER before the replicas had the batch, and the
/// leader changed.
#[test]
fn a_duplicate_of_an_old_broker_may_still_be_lost() {
    holds(10_041_757);
}

/// The machine was wrong: a part of a split batch was acknowledged without an offset (DUPLICATE_SEQUENCE_NUMBER), and
/// its records were reported at offset −1.
#[test]
fn records_without_a_known_offset_have_none() {
    holds(10_047_377);
}

/// The machine was wrong: a connection was lost before the outputs were polled; `Close` was still returned for it.
#[test]
fn a_lost_connection_is_not_closed_again() {
    for seed in [4_971, 101_775, 10_023_251, 10_024_255, 10_033_545] {
        holds(seed);
    }
}

/// The machine was wrong: a batch was rejected, a later one accepted nevertheless, because its broker had forgotten the
/// producer, and the response to a third one was lost. The gap before the third seemed to prove that it was not in the
/// log: it was stamped again, and written twice.
#[test]
fn an_accepted_gap_proves_nothing() {
    for seed in [40_054_873, 60_097_481, 60_220_294] {
        holds(seed);
    }
}

/// The machine was wrong: a partition waited for the response of an old leader, which then led again; no wake-up
/// followed.
#[test]
fn a_partition_that_waits_for_an_old_leader_is_woken_when_it_leads_again() {
    holds(15_534_099_942_400_450_837);
}

/// The law was wrong: with acks=1, written parts of a split batch can be lost with their leader.
#[test]
fn with_acks_1_written_records_can_be_lost() {
    for seed in [40_604_826, 40_674_734] {
        holds(seed);
    }
}

/// The broker was wrong: it rejected a batch of a forgotten producer as out of order, and accepted the next one.
#[test]
fn a_broker_that_forgot_the_producer_rejects_no_sequence_as_out_of_order() {
    holds(40_119_885);
}

/// The law was wrong: without acknowledgements the machine tolerates unexpected responses, and what follows them
/// counts. The observer considered the connection corrupted, and missed the leader of that time.
#[test]
fn an_unexpected_response_without_acks_is_ignored() {
    holds(60_086_915);
}

/// The machine and a law were wrong: garbage happened to be a readable InitProducerId response. (It is excluded since,
/// and brokers request absurd throttling on purpose.)
#[test]
fn garbage_that_is_a_readable_response_does_not_stop_the_producer() {
    for seed in [100_199_716, 100_952_144] {
        holds(seed);
    }
}

/// The machine was wrong: a response that requests a rebootstrap was received in one piece with a Produce response,
/// which was discarded with the connection: its batch ended as unknown, although it had been confirmed.
#[test]
fn a_response_received_with_a_rebootstrap_counts() {
    holds(500_427_656);
}

/// The machine was wrong: a batch whose response was lost was rejected as out of order, and a later one was accepted,
/// which seemed to prove that the first is in the log. But the topic had been created again meanwhile, and its broker
/// accepted the second one alone. The proof now requires room in the log between what was confirmed before and the
/// batch that proves.
#[test]
fn a_later_batch_proves_nothing_without_room_for_the_earlier_one() {
    for seed in [1_010_086_636, 1_010_131_076] {
        holds(seed);
    }
}

/// The law was wrong: it assumed that an earlier batch was still open whose response was received in the
/// same piece.
#[test]
fn a_batch_proven_in_the_same_piece_is_proven() {
    for seed in [1_030_180_140, 1_030_210_250] {
        holds(seed);
    }
}

/// The link was wrong: a second cut let bytes through again, so that some were missing in the middle.
#[test]
fn a_cut_link_stays_cut() {
    holds(1_010_061_901);
}

/// The law was wrong: an id was replaced after its last epoch, and a self-assigned epoch of the next id was rejected.
/// Another partition still used a self-assigned epoch of the first id, under which a broker had accepted its batches:
/// it may continue.
#[test]
fn a_partition_keeps_an_accepted_epoch_although_one_of_another_id_is_rejected() {
    holds(2_000_254_764);
}

/// The machine was wrong: the next batch of a partition depends on its leader, and a new leader did not end the wait for the
/// backoff of a later batch.
#[test]
fn a_new_leader_ends_the_backoff_of_a_later_batch() {
    holds(1_001_699);
}

/// The machine was wrong: a Produce response had the address of a new leader (KIP-951), which led another partition, too. That one
/// waited for the next metadata.
#[test]
fn the_address_of_a_leader_ends_the_wait_of_all_its_partitions() {
    holds(5_000_020_347);
}
