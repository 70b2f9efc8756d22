//! Reads those fields of a certificate that `webpki` does not provide: for error messages, and for the validity period of a
//! certificate that is itself trusted.
//!
//! Chains are verified by `webpki`. Fields that cannot be parsed here are omitted.

use std::net::IpAddr;
use std::time::Duration;

use pkcs8::ObjectIdentifier;
use pkcs8::der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use pkcs8::der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The number of characters of a name that are shown. RFC 5280 allows 64 in a common name, and DNS 253 in a name.
const MAX_NAME: usize = 253;

/// Fields of a certificate (RFC 5280, section 4.1).
#[derive(Clone, Debug)]
pub(super) struct Facts<'c> {
    /// 1 to 3.
    pub(super) version: u8,
    /// In DER.
    pub(super) issuer: &'c [u8],
    /// In DER.
    pub(super) subject: &'c [u8],
    /// The times notBefore and notAfter, since 1970.
    pub(super) validity: (Duration, Duration),
    /// The size of the key in bits, if it is an RSA key.
    pub(super) rsa_bits: Option<usize>,
    extensions: &'c [u8],
}

impl<'c> Facts<'c> {
    pub(super) fn read(certificate: &'c [u8]) -> Option<Self> {
        let signed = items(AnyRef::from_der(certificate).ok()?.value()).next()?;
        let mut items = items(signed.value()).peekable();
        let version = items.next_if(|item| numbered(item) == Some(TagNumber(0)));
        // The field is missing in version 1; its values start at 0 for version 1.
        let version =
            version.map_or(Some(1), |item| self::items(item.value()).next()?.value().last()?.checked_add(1))?;
        let _serial = items.next()?;
        let _algorithm = items.next()?;
        let issuer = items.next()?.value();
        let mut times = self::items(items.next()?.value()).map(time);
        let validity = (times.next()??, times.next()??);
        let subject = items.next()?.value();
        let rsa_bits = rsa_bits(items.next()?.value());
        let extensions = items.find(|item| numbered(item) == Some(TagNumber(3))).map_or(&[][..], AnyRef::value);
        Some(Self { version, issuer, subject, validity, rsa_bits, extensions })
    }

    /// Returns the last common name of the subject.
    pub(super) fn common_name(&self) -> Option<String> {
        let attributes = items(self.subject).flat_map(|set| items(set.value()));
        let names = attributes.filter_map(|attribute| {
            let mut parts = items(attribute.value());
            let kind = parts.next()?.decode_as::<ObjectIdentifier>().ok()?;
            let name = parts.next()?.value();
            (kind == COMMON_NAME).then(|| shown(name))
        });
        names.last()
    }

    /// Returns true if the extension basicConstraints says that the certificate is not one of an authority (CA:FALSE).
    pub(super) fn denies_authority(&self) -> bool {
        let Some(constraints) = self.extension(BASIC_CONSTRAINTS) else { return false };
        let Some(sequence) = items(constraints.value()).next() else { return false };
        // cA is a BOOLEAN whose default, FALSE, is left out in DER.
        let is_authority = items(sequence.value()).next().is_some_and(|first| first.decode_as::<bool>() == Ok(true));
        !is_authority
    }

    /// Returns the value of an extension.
    fn extension(&self, wanted: ObjectIdentifier) -> Option<AnyRef<'c>> {
        items(self.extensions).flat_map(|list| items(list.value())).find_map(|extension| {
            let mut parts = items(extension.value());
            let kind = parts.next()?.decode_as::<ObjectIdentifier>().ok()?;
            (kind == wanted).then(|| parts.last()).flatten() // after the optional flag `critical`
        })
    }

    /// Returns the host names and addresses of the extension subjectAltName, or `None` if there is no such extension.
    pub(super) fn alternative_names(&self) -> Option<Vec<String>> {
        let names = self.extension(SUBJECT_ALT_NAME)?;
        let list = items(names.value()).next().map_or(&[][..], AnyRef::value);
        let name = |name: AnyRef<'_>| match numbered(&name)? {
            TagNumber(2) => Some(format!("DNS:{}", shown(name.value()))),
            TagNumber(7) => Some(format!("IP:{}", address(name.value())?)),
            _ => None,
        };
        Some(items(list).filter_map(name).collect())
    }
}

/// Returns the size in bits of an RSA key in a SubjectPublicKeyInfo (its contents, without tag and length).
pub(super) fn rsa_bits(key_info: &[u8]) -> Option<usize> {
    let mut parts = items(key_info);
    let algorithm = items(parts.next()?.value()).next()?.decode_as::<ObjectIdentifier>().ok()?;
    let (_unused_bits, key) = parts.next()?.value().split_first()?;
    let modulus = items(AnyRef::from_der(key).ok()?.value()).next()?.value();
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let (first, rest) = modulus[zeros..].split_first()?;
    (algorithm == RSA).then(|| rest.len() * 8 + 8 - first.leading_zeros() as usize)
}

/// Iterates over the elements of a constructed value, up to the first that cannot be parsed.
pub(super) fn items(value: &[u8]) -> impl Iterator<Item = AnyRef<'_>> {
    let mut reader = SliceReader::new(value).ok();
    std::iter::from_fn(move || reader.as_mut().filter(|reader| !reader.is_finished())?.decode().ok())
}

/// Returns the number of a context-specific tag.
fn numbered(item: &AnyRef<'_>) -> Option<TagNumber> {
    match item.tag() {
        Tag::ContextSpecific { number, .. } => Some(number),
        _ => None,
    }
}

fn time(item: AnyRef<'_>) -> Option<Duration> {
    let utc = item.decode_as::<UtcTime>().map(|time| time.to_unix_duration());
    utc.or_else(|_| item.decode_as::<GeneralizedTime>().map(|time| time.to_unix_duration())).ok()
}

/// Returns a name with control characters escaped and limited in length, since it comes from the network.
fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.chars().take(MAX_NAME).flat_map(char::escape_debug).collect()
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

#[cfg(all(test, feature = "__witnesses"))]
mod tests {
    use futures_rustls::pki_types::CertificateDer;
    use futures_rustls::pki_types::pem::PemObject;
    use kafka_batch_certificates::Identity;

    use super::*;

    #[test]
    fn a_version_out_of_range_is_not_a_version() {
        let pem = Identity::self_signed("broker").certificate;
        let mut der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
        let field = [0xa0, 3, 2, 1, 2];
        let at = der.windows(field.len()).position(|bytes| bytes == field).unwrap() + field.len() - 1;
        for (byte, version) in [(2, Some(3)), (0, Some(1)), (0xff, None)] {
            der[at] = byte;
            assert_eq!(Facts::read(&der).map(|facts| facts.version), version, "{byte:#x}");
        }
    }
}
