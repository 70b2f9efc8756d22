//! Fetch v0 to v3, encoded and decoded here because no library at hand supports them. A broker that supports them
//! converts records to the format of such a client.

use kafka_batch::Magic;
use kafka_batch::decode::RecordBatches;
use kafka_batch::protocol::ErrorCode;

use super::wire::{Topic, Wire};

/// Returns the format of the records in responses of this version.
pub(crate) fn magic_of_fetch(version: i16) -> Magic {
    match version {
        0 | 1 => Magic::V0,
        2 | 3 => Magic::V1,
        _ => Magic::V2,
    }
}

/// Fetches once, from this offset on, and returns the record bytes.
pub(crate) fn fetch(wire: &mut Wire, version: i16, topic: &Topic, partition: i32, from: i64) -> (ErrorCode, Vec<u8>) {
    const FETCH: i16 = 1;
    const CONSUMER: i32 = -1;
    const PLENTY: i32 = 50_000_000;
    let (wait_ms, least_bytes) = (0_i32, 0_i32);
    let name = topic.name.as_bytes();
    let mut body = [CONSUMER, wait_ms, least_bytes].map(i32::to_be_bytes).concat();
    if version >= 3 {
        body.extend(PLENTY.to_be_bytes());
    }
    body.extend(1_i32.to_be_bytes());
    body.extend((name.len() as i16).to_be_bytes());
    body.extend(name);
    body.extend([1, partition].map(i32::to_be_bytes).concat());
    body.extend(from.to_be_bytes());
    body.extend(PLENTY.to_be_bytes());

    let answer = wire.ask_by_hand(FETCH, version, &body);
    let mut rest = &answer[..];
    let mut take = |length: usize| {
        let (field, others) = rest.split_at(length);
        rest = others;
        field.iter().fold(0_i64, |number, byte| number << 8 | i64::from(*byte))
    };
    if version >= 1 {
        take(4); // throttle time
    }
    assert_eq!((take(4), take(2)), (1, name.len() as i64), "one topic");
    take(name.len());
    assert_eq!((take(4), take(4)), (1, i64::from(partition)), "one partition");
    let error = ErrorCode(take(2) as i16);
    take(8); // high watermark
    let length = take(4) as i32; // -1 if there is an error
    assert_eq!(rest.len(), length.max(0) as usize);
    (error, rest.to_vec())
}

/// Fetches a whole partition in as many requests as needed; each response may end within a batch.
pub(crate) fn log(wire: &mut Wire, version: i16, topic: &Topic, partition: i32, records: usize) -> Vec<u8> {
    let mut log = Vec::new();
    while (super::rows::rows(&log).len()) < records {
        let from = super::rows::rows(&log).last().map_or(0, |row| row.offset + 1);
        let (error, mut answer) = fetch(wire, version, topic, partition, from);
        assert_eq!(error, ErrorCode::NONE, "Fetch v{version}");
        let mut batches = RecordBatches::new(&answer);
        let whole = (&mut batches).map(Result::unwrap).count();
        assert!(whole > 0, "Fetch v{version} from {from}: {:?} of {} bytes", batches.tail(), answer.len());
        if let Some(tail) = batches.tail() {
            answer.truncate(tail.at);
        }
        log.extend(answer);
    }
    log
}
