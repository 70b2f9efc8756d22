//! Splitting a batch, and converting it to another format.

use super::*;

fn to() -> TopicPartition {
    TopicPartition::new("topic", 3)
}

proptest! {
    #![proptest_config(config(2))]

    #[test]
    fn split_parts_keep_everything_and_fit(spec in strategy::batches(), percent in 0..120_usize) {
        let batch = spec.batch();
        laws::split_keeps_records_within_limit(&batch, batch.size() * percent / 100)?;
    }

    #[test]
    fn split_under_any_settings(spec in strategy::limited_batches(), limit in 0..2_000_usize) {
        laws::split_keeps_records_within_limit(&spec.batch(), limit)?;
    }

    #[test]
    fn without_removes_exactly_these_records(
        spec in strategy::limited_batches(),
        positions in prop::collection::vec(0..10_usize, 0..6),
    ) {
        laws::without_removes_positions(&spec.batch(), &positions)?;
    }

    #[test]
    fn the_remainder_of_a_failed_batch_is_neither_written_nor_rejected(
        error in strategy::batches().prop_flat_map(|spec| strategy::delivery_errors(to(), spec.batch())),
    ) {
        laws::remainder_excludes_written_and_rejected(&error)?;
        let fates: Vec<_> = (0..error.record_count()).map(|position| error.fate_of(position)).collect();
        let differ = fates.windows(2).any(|pair| pair[0] != pair[1]);
        prop_assert!(fates.is_empty() || error.fate().is_none() == differ);
    }

    #[test]
    fn a_delivery_of_any_kind_is_addressed_by_position(
        delivery in strategy::batches().prop_flat_map(|spec| strategy::deliveries(to(), spec.batch())),
    ) {
        let records: Vec<_> = delivery.records().collect();
        prop_assert_eq!(records.len(), delivery.record_count());
        for (record, own) in records.iter().zip(delivery.batch().records()) {
            prop_assert_eq!(record.offset, delivery.offset(record.position));
            prop_assert_eq!(Some(record.timestamp), delivery.timestamp(record.position));
            let all = delivery.log_append_time();
            prop_assert!(all.is_none_or(|time| time == record.timestamp));
            prop_assert!(record.timestamp.millis() >= 0 || record.timestamp == own.timestamp, "{record:?}");
        }
        prop_assert_eq!(delivery.base_offset(), records.first().and_then(|first| first.offset));
    }

    #[test]
    fn older_formats_lose_only_what_losses_at_names(
        spec in prop_oneof![strategy::batches(), strategy::limited_batches()],
        magic in strategy::magics(),
        allowed in prop::sample::select(vec![
            DownConversion::DropAll, DownConversion::DropTimestamps, DownConversion::Lossless,
        ]),
    ) {
        laws::conversion_loses_only_what_is_listed(&spec.batch(), magic, allowed)?;
        if let Ok(converted) = spec.batch().convert(magic, allowed) {
            laws::all(&converted)?;
        }
    }

    #[test]
    fn a_conversion_to_a_format_and_back_keeps_what_both_can_carry(records in strategy::records(0..6)) {
        let records: Vec<_> = records.into_iter().map(|record| record.for_magic(Magic::V1)).collect();
        let batch = batch_of(BatchOptions::default().batch_size(1 << 20), &records);
        let there = batch.clone().convert(Magic::V1, DownConversion::Lossless)?;
        prop_assert_eq!(there.convert(Magic::V2, DownConversion::Lossless)?, batch);
    }
}
