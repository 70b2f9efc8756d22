//! The two checksums of Kafka's formats: CRC-32 for messages of magic 0 and 1, CRC-32C for batches of magic 2.

/// CRC-32 (IEEE), as magic 0 and 1 use it.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// CRC-32C (Castagnoli), as magic 2 uses it: in hardware where there is `std` to ask the processor, by table elsewhere.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    #[cfg(feature = "std")]
    return crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32; // the same polynomial, in iSCSI's name
    #[cfg(not(feature = "std"))]
    return by_table(bytes);
}

#[cfg(any(test, not(feature = "std")))]
fn by_table(bytes: &[u8]) -> u32 {
    const CASTAGNOLI: crc::Crc<u32, crc::Table<16>> = crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_ISCSI);
    CASTAGNOLI.checksum(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values_of_the_catalogue() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(by_table(b"123456789"), 0xe306_9283);
    }
}
