//! Filling a batch: limits, costs, rejected records, rollback.

use super::*;

proptest! {
    #![proptest_config(config(1))]

    #[test]
    fn a_batch_behaves_as_its_model(
        options in strategy::options(),
        now in strategy::timestamps(),
        operations in strategy::operations(20),
    ) {
        run(&options, now, &operations)?;
    }

    #[test]
    fn a_rejected_record_changes_nothing(spec in strategy::limited_batches(), record in strategy::record()) {
        laws::refused_append_changes_nothing(&spec.batch(), &record)?;
    }

    #[test]
    fn cost_is_exact_whether_or_not_it_fits(spec in strategy::limited_batches(), record in strategy::record()) {
        laws::cost_is_exact(&spec.batch(), &record)?;
    }

    #[test]
    fn fits_and_room_agree_with_append(spec in strategy::limited_batches(), record in strategy::record()) {
        laws::fits_agrees_with_append(&spec.batch(), &record)?;
        laws::room_agrees_with_fits(&spec.batch(), &record)?;
    }

    #[test]
    fn a_rollback_restores_the_batch(spec in strategy::limited_batches(), records in strategy::records(0..6)) {
        laws::rollback_restores(&spec.batch(), &records)?;
    }

    #[test]
    fn marks_are_valid_until_a_rollback_before_them(steps in strategy::marking(40)) {
        run(&BatchOptions::default(), at(0), &steps)?;
    }

    #[test]
    fn try_extend_is_all_or_nothing(spec in strategy::limited_batches(), records in strategy::records(0..6)) {
        laws::try_extend_is_all_or_nothing(&spec.batch(), &records)?;
    }

    #[test]
    fn extend_stops_at_the_position_that_it_names(spec in strategy::limited_batches(), records in strategy::records(0..6)) {
        laws::extend_names_the_position(&spec.batch(), &records)?;
    }

    #[test]
    fn from_batch_to_batch_no_record_is_lost_or_repeated(spec in strategy::limited_batches(), records in strategy::records(0..12)) {
        laws::filling_loses_nothing(&spec.batch(), &records)?;
    }

    #[test]
    fn headers_encoded_in_advance_are_the_same_headers(spec in strategy::limited_batches(), record in strategy::record()) {
        laws::header_representations_agree(&spec.batch(), &record)?;
    }

    #[test]
    fn the_soft_limit_is_exact(near in strategy::near_limit()) {
        let mut batch = near.options.clone().build(near.now)?;
        let (last, before) = near.records.split_last().expect("at least two");
        for record in before {
            prop_assert!(batch.append(record.borrowed())?.appended().is_some(), "{record:?} in {batch}");
        }
        prop_assert_eq!(batch.fits(last.borrowed()), near.last_fits());
        let answer = batch.append(last.borrowed())?;
        prop_assert_eq!(answer.appended().is_some(), near.last_fits(), "{:?}", answer);
        if let (Append::Full(full), strategy::LimitCase::Above) = (answer, near.case) {
            // One byte was missing; under aiokafka's rule one more, since its batches stay below the limit.
            let missing = if near.options == near.options.clone().boundary(Boundary::Inclusive) { 1 } else { 2 };
            prop_assert_eq!(full.needed, full.available + missing);
        }
    }

    #[test]
    fn the_first_record_is_accepted_whatever_its_size(
        options in strategy::roomy_options(),
        batch_size in 0..200_usize,
        record in strategy::record(),
    ) {
        let mut batch = batch(options.batch_size(batch_size));
        let record = record.for_magic(batch.magic());
        prop_assert!(batch.append(record.borrowed())?.appended().is_some());
    }

    #[test]
    fn the_number_of_records_is_a_limit(most in 1..6_u32, options in strategy::roomy_options()) {
        let mut batch = batch(options.max_records(most));
        for _ in 0..most {
            prop_assert!(batch.append(Record::new("x"))?.appended().is_some());
        }
        let Append::Full(full) = batch.append(Record::new("x"))? else { panic!("accepted beyond the limit") };
        prop_assert_eq!(full.reason, FullReason::MaxRecords { limit: most });
    }

    /// `MemoryRecordsBuilder.hasRoomFor`: (int) (bytes · ratio · 1.05) + header + the new record uncompressed, compared
    /// with the limit; the first record is always accepted.
    #[test]
    fn the_estimate_equals_that_of_the_java_client(
        ratio in 0.0..1.5_f32,
        limit in 61..2_000_usize,
        records in strategy::records(1..8),
    ) {
        let policy = SizePolicy::Estimated(CompressionRatio::new(ratio));
        let options = BatchOptions::default().batch_size(limit).size_policy(policy);
        let mut batch = batch(options.compression(Compression::Snappy));
        for record in &records {
            let estimated = 61 + ((batch.size() - 61) as f32 * ratio * 1.05) as usize;
            prop_assert_eq!(batch.counted_size(), estimated);
            let has_room = batch.is_empty() || limit >= estimated + batch.cost(record.borrowed())?;
            prop_assert_eq!(batch.append(record.borrowed())?.appended().is_some(), has_room);
        }
    }

    #[test]
    fn ratios_are_updated_as_by_the_java_client(seen in prop::collection::vec(0.0..3.0_f32, 0..20)) {
        let (mut ratio, mut expected) = (CompressionRatio::default(), 1.0_f32);
        for seen in seen {
            ratio.observe(seen);
            expected = match seen.partial_cmp(&expected) {
                Some(std::cmp::Ordering::Greater) => (expected + 0.05).max(seen),
                Some(std::cmp::Ordering::Less) => (expected - 0.005).max(seen),
                _ => expected,
            };
            prop_assert_eq!(ratio.get(), expected);
        }
    }

    /// aiokafka's compiled builders: `pos + size >= limit` rejects, magic 2 counts its header, magic 0 and 1 no
    /// wrapper.
    #[test]
    fn the_aiokafka_boundary_equals_that_of_its_builders(
        options in strategy::roomy_options(),
        limit in 0..1_000_usize,
        records in strategy::records(1..8),
    ) {
        let mut batch = batch(options.batch_size(limit).boundary(Boundary::Aiokafka));
        let mut position = if batch.magic() == Magic::V2 { 61 } else { 0 };
        for record in records {
            let record = record.for_magic(batch.magic());
            let size = batch.cost(record.borrowed())?;
            let refused = !batch.is_empty() && position + size >= limit;
            prop_assert_eq!(batch.append(record.borrowed())?.is_full(), refused);
            position += if refused { 0 } else { size };
        }
    }

    #[test]
    fn the_first_key_chooses_the_partition(
        partitions in 1..5_u32,
        records in strategy::records(0..12),
    ) {
        let partitions = NonZeroU32::new(partitions).expect("at least one");
        let mut batch = batch(BatchOptions::default().batch_size(1 << 20).route_by_key(partitions));
        let mut routed = None;
        for record in &records {
            let key = record.key.as_deref().map(|key| partition_for_key(key, partitions));
            match (routed, key, batch.append(record.borrowed())) {
                (Some(before), Some(now), Err(AppendError::RoutesElsewhere { key, batch })) => {
                    prop_assert_ne!(before, now);
                    prop_assert_eq!((batch, key), (before, now));
                }
                (before, now, answer) => {
                    prop_assert!(before.is_none() || now.is_none() || before == now);
                    prop_assert!(answer?.appended().is_some());
                    routed = before.or(now);
                }
            }
            prop_assert_eq!(batch.routed_partition(), routed);
        }
        let requested = routed.unwrap_or(0);
        let to = |partition| Publish::to("topic").partition(partition).batch(batch.clone()).prepare(|| unreachable!());
        if records.is_empty() {
            let refused = to(requested).unwrap_err();
            prop_assert!(refused.to_string().contains("has no records"), "{}", refused);
            return Ok(());
        }
        prop_assert_eq!(to(requested)?.partition, Some(requested));
        prop_assert_eq!(to(requested + 1).is_err(), routed.is_some(), "a partition that the keys do not select");
    }
}

/// Lengths are signed 32-bit numbers. The memory is never touched, so this costs nothing.
#[test]
#[cfg(target_pointer_width = "64")]
fn a_record_over_two_gib_is_rejected_and_changes_nothing() {
    let large = vec![0; i32::MAX as usize];
    let headers = [Header::new("large", &large)];
    for options in formats() {
        let mut batch = batch(options.max_message_bytes(usize::MAX).batch_size(usize::MAX));
        let before = batch.clone();
        let mut too_long = vec![Record::new(&large), Record::new(&large).key(&large)];
        if batch.magic().has_headers() {
            too_long.push(Record::new("").headers(&headers));
        }
        for record in too_long {
            assert!(matches!(batch.append(record), Err(AppendError::TooLong { .. })));
            assert_eq!(batch, before);
        }
        assert!(batch.append(Record::new("small")).unwrap().appended().is_some());
    }
}
