//! Seeds that once failed, each with what was wrong. A seed means what it meant only as long as the generator of
//! schedules is as it was: what they found is therefore told in words, and has a scenario where that can be written.

use kafka_batch_simulation::run::run_twice;
use kafka_batch_simulation::schedule::Schedule;

fn holds(seed: u64) {
    let report = run_twice(&Schedule::from_seed(seed));
    assert!(report.breach.is_none(), "seed {seed}: {}", report.breach.unwrap());
}

/// The broker was wrong: it answered DUPLICATE_SEQUENCE_NUMBER to a batch that it had just refused.
#[test]
fn only_what_was_done_can_be_denied() {
    for seed in [104_057, 106_498, 113_846, 119_140, 119_586] {
        holds(seed);
    }
}

/// The law was wrong: a broker of 0.11 answered DUPLICATE_SEQUENCE_NUMBER before the replicas had the batch, and the
/// leader changed.
#[test]
fn a_duplicate_of_an_old_broker_may_still_be_lost() {
    holds(10_041_757);
}

/// The machine: a part of a split batch was acknowledged without an offset (DUPLICATE_SEQUENCE_NUMBER), and its records
/// were said to be at offset −1.
#[test]
fn records_without_a_known_offset_have_none() {
    holds(10_047_377);
}

/// The machine: a connection broke by itself before the drain; the drain still gave out its `Close`.
#[test]
fn what_is_closed_is_not_closed_again() {
    for seed in [4_971, 101_775, 10_023_251, 10_024_255, 10_033_545] {
        holds(seed);
    }
}

/// The machine: a batch was refused, one behind it taken all the same, since its broker had forgotten the producer, and the
/// answer to a third one was lost. The gap before the third seemed to prove that it was not in the log: it was stamped anew,
/// and written twice.
#[test]
fn a_gap_that_was_taken_proves_nothing() {
    for seed in [40_054_873, 60_097_481, 60_220_294] {
        holds(seed);
    }
}

/// The machine: a partition waited for the answer of an old leader, which then led again; nobody looked at it.
#[test]
fn who_waits_for_an_old_leader_hears_that_it_leads_again() {
    holds(15_534_099_942_400_450_837);
}

/// The law was wrong: with acks=1 the parts of a split batch that were written can be lost with their leader.
#[test]
fn with_acks_1_what_is_written_can_be_lost() {
    for seed in [40_604_826, 40_674_734] {
        holds(seed);
    }
}

/// The broker was wrong: it refused a batch as out of order whose producer it had forgotten, and took the one behind it.
#[test]
fn who_counts_nothing_calls_nothing_out_of_order() {
    holds(40_119_885);
}

/// The law was wrong: without acknowledgements the machine bears with an answer that nobody waits for, and what comes after
/// it counts. Whoever listened in took the connection for spoilt, and missed who led by then.
#[test]
fn without_acks_an_answer_too_many_spoils_nothing() {
    holds(60_086_915);
}

/// Both the machine and a law: garbage happened to be a readable answer to InitProducerId. (Since then it never does, and
/// brokers ask for absurd throttling on purpose.)
#[test]
fn garbage_that_reads_like_an_answer_stops_nobody() {
    for seed in [100_199_716, 100_952_144] {
        holds(seed);
    }
}

/// The machine: an answer that told it to begin anew with the bootstrap servers came in one piece with an answer to Produce, and
/// that one was thrown away with the connection: its batch ended as unknown, although it had been confirmed.
#[test]
fn what_came_with_the_call_to_begin_anew_counts() {
    holds(500_427_656);
}

/// The machine: a batch whose answer was lost was refused as out of order, and one behind it was taken; that seemed to prove
/// that the first is in the log. But the topic had been made anew meanwhile, and its broker took the second one alone. A proof
/// needs room in the log now, between what was confirmed before and the batch that proves.
#[test]
fn a_later_batch_proves_nothing_where_there_is_no_room_for_the_earlier_one() {
    for seed in [1_010_086_636, 1_010_131_076] {
        holds(seed);
    }
}

/// The law was wrong: it took a batch for one that still had an earlier one before it, of which the answer had come in the
/// same piece.
#[test]
fn what_is_proven_at_once_is_proven() {
    for seed in [1_030_180_140, 1_030_210_250] {
        holds(seed);
    }
}

/// The link was wrong: a second cut of it let bytes through again, so that some were missing in the middle.
#[test]
fn what_is_cut_stays_cut() {
    holds(1_010_061_901);
}

/// The law was wrong: an id was replaced after its last epoch, and an own epoch of the next id was refused. Another partition
/// still counted under an own epoch of the first id, under which a broker had taken its batches: it may continue there.
#[test]
fn a_partition_keeps_an_own_epoch_that_was_accepted_although_one_of_another_id_is_refused() {
    holds(2_000_254_764);
}
