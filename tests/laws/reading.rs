//! Reading: stamps, log-append-time, many batches in a buffer; deliveries and versions.

use super::*;

proptest! {
    #![proptest_config(config(2))]

    #[test]
    fn a_stamp_is_read_back_field_by_field(
        records in strategy::records(1..6),
        stamp in strategy::stamps(),
        horizon in prop::option::of(strategy::timestamps()),
        compression in strategy::compressions(),
        fields in (any::<i64>(), any::<i16>(), any::<i32>(), 0..i64::MAX / 2, any::<i32>(), any::<[bool; 2]>()),
    ) {
        let (producer_id, producer_epoch, base_sequence, base_offset, leader_epoch, [transactional, control]) = fields;
        let stamp = stamp
            .producer(producer_id, producer_epoch, base_sequence)
            .base_offset(base_offset)
            .partition_leader_epoch(leader_epoch)
            .transactional(transactional)
            .control(control);
        let options = BatchOptions::default().batch_size(1 << 20).compression(compression);
        let batch = batch_of(horizon.into_iter().fold(options, BatchOptions::delete_horizon), &records);
        let stamped = batch.clone().seal()?.stamp(stamp)?;
        let mut batches = RecordBatches::new(stamped.bytes());
        let read = batches.next().expect("a batch")?;
        let header = read.header().expect("magic 2");
        prop_assert_eq!(
            (header.producer_id, header.producer_epoch, header.base_sequence),
            (producer_id, producer_epoch, base_sequence)
        );
        prop_assert_eq!((header.base_offset, header.partition_leader_epoch), (base_offset, leader_epoch));
        prop_assert_eq!((read.is_transactional(), read.is_control()), (transactional, control));
        prop_assert_eq!(read.delete_horizon(), horizon);
        let records = read.records(1 << 20)?;
        for (read, own) in records.iter().zip(batch.records()) {
            prop_assert_eq!(read?.offset, base_offset + own.offset);
        }
    }

    #[test]
    fn with_log_append_time_every_record_has_the_broker_s(
        records in strategy::records(1..6),
        time in strategy::timestamps(),
        compression in strategy::compressions(),
    ) {
        let options = BatchOptions::default().batch_size(1 << 20).compression(compression);
        let stamped = batch_of(options, &records).seal()?.stamp(Stamp::default().log_append_time(time))?;
        let read = RecordBatches::new(stamped.bytes()).next().expect("a batch")?;
        prop_assert_eq!(read.timestamp_type(), Some(TimestampType::LogAppendTime));
        for record in &read.records(1 << 20)? {
            prop_assert_eq!(record?.timestamp, time);
        }
    }

    /// The broker writes its time into the wrapper of magic 1 and leaves the compressed messages unchanged (KIP-32).
    #[test]
    fn a_wrapper_of_magic_1_with_log_append_time_applies_to_its_records(
        values in prop::collection::vec("[a-c]{40,80}", 3..6),
        time in strategy::timestamps(),
    ) {
        let options = BatchOptions::default().magic(MagicChoice::Pinned(Magic::V1)).compression(Compression::gzip());
        let mut batch = batch(options);
        batch.extend(values.iter().map(Record::new))?;
        let mut wrapper = batch.seal()?.without_producer_id().bytes().to_vec();
        const LOG_APPEND_TIME: u8 = 1 << 3;
        prop_assert_eq!(wrapper[17], Codec::Gzip.id(), "three equal records are compressible");
        wrapper[17] |= LOG_APPEND_TIME;
        wrapper[18..26].copy_from_slice(&time.millis().to_be_bytes());
        let crc = sealing::crc32(&wrapper[16..]);
        wrapper[12..16].copy_from_slice(&crc.to_be_bytes());
        let read = RecordBatches::new(&wrapper).next().expect("a batch")?;
        prop_assert_eq!(read.timestamp_type(), Some(TimestampType::LogAppendTime));
        for record in &read.records(1 << 20)? {
            prop_assert_eq!(record?.timestamp, time);
        }
    }

    /// A fetch response may end anywhere: complete batches are read, and the cut is reported.
    #[test]
    fn many_batches_cut_anywhere_are_read_up_to_the_cut(
        recipes in prop::collection::vec(strategy::batches(), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut buffer = Vec::new();
        let mut records = Vec::new(); // and the end of the batch, or of the plain message, of each
        for batch in recipes.iter().map(BatchSpec::batch) {
            let Ok(sealed) = batch.clone().seal() else { continue };
            let plain = sealed.magic() != Magic::V2 && sealed.codec() == Codec::None;
            let size = sealed.size();
            let mut end = buffer.len() + if plain { 0 } else { size };
            for record in batch.records() {
                end += if plain { plain_size(batch.magic(), &record) } else { 0 };
                records.push((end, OwnedRecord::from(record)));
            }
            buffer.extend_from_slice(sealed.without_producer_id().bytes());
        }
        let cut = cut.index(buffer.len() + 1);
        let mut reading = RecordBatches::new(&buffer[..cut]);
        let (mut read, mut whole) = (Vec::new(), 0);
        for batch in &mut reading {
            let batch = batch?;
            prop_assert_eq!(batch.position().start, whole);
            whole = batch.position().end;
            for record in &batch.records(1 << 20)? {
                read.push(OwnedRecord::from(record?));
            }
        }
        let expected: Vec<_> = records.into_iter().filter(|(end, _)| *end <= cut).map(|(_, record)| record).collect();
        prop_assert_eq!(read, expected);
        prop_assert_eq!(reading.tail().map(|tail| (tail.at, tail.present)), (whole < cut).then_some((whole, cut - whole)));
    }
}

fn plain_size(magic: Magic, record: &RecordView<'_>) -> usize {
    let head = if magic == Magic::V0 { 26 } else { 34 };
    head + record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)
}

proptest! {
    #![proptest_config(config(1))]

    #[test]
    fn a_delivery_has_the_offset_of_each_record(
        spec in strategy::batches(),
        base_offset in -1..i64::MAX / 2,
        log_append_time in prop_oneof![Just(-1), Just(0), 0..i64::MAX],
    ) {
        laws::delivery_reports_by_position(&spec.batch(), base_offset, log_append_time)?;
    }

    #[test]
    fn version_strings_select_the_format(version in strategy::broker_versions()) {
        let parsed: BrokerVersion = version.text.parse()?;
        prop_assert_eq!(parsed.magic(), version.magic);
        prop_assert_eq!(parsed.to_string().parse::<BrokerVersion>()?, parsed);
        prop_assert_eq!(batch(BatchOptions::default().magic(parsed)).magic(), version.magic);
    }
}
