//! The two checksums of Kafka's formats: CRC-32 for messages of magic 0 and 1, CRC-32C for batches of magic 2.

/// Returns the CRC-32 (IEEE) of messages of magic 0 and 1.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Returns the CRC-32C (Castagnoli) of batches of magic 2. With `std`, which can detect CPU features, it is computed in hardware.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    #[cfg(feature = "std")]
    return crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32; // iSCSI uses Castagnoli's polynomial
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
