pub(super) type PartitionIndex = usize;
