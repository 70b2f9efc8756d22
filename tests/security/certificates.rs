//! Certificates, made anew for each run: two authorities that know nothing of each other, the broker's, and ours.

use std::path::{Path, PathBuf};
use std::{fs, process};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// All in PEM.
pub(crate) struct Certificates {
    /// Who signed the broker's, and ours.
    pub(crate) ca: String,
    /// The broker's, for 127.0.0.1, and its key.
    pub(crate) broker: (String, String),
    /// Ours.
    pub(crate) ours: (String, String),
    /// Another authority.
    pub(crate) foreign_ca: String,
    /// And what that one signed for us.
    foreign: (String, String),
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn signs(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let (authority, foreign) = (Authority::new("authority"), Authority::new("foreign authority"));
        Self {
            broker: authority.signs("127.0.0.1"),
            ours: authority.signs("us"),
            foreign: foreign.signs("us"),
            ca: authority.pem,
            foreign_ca: foreign.pem,
        }
    }

    pub(crate) fn foreign_identity(&self) -> Vec<(&str, &str)> {
        vec![("ssl.certificate.pem", &self.foreign.0), ("ssl.key.pem", &self.foreign.1)]
    }

    /// The same in files.
    pub(crate) fn files(&self) -> Files {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("security-{}-{number}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let files = Files { folder };
        for (path, text) in [(files.ca(), &self.ca), (files.certificate(), &self.ours.0), (files.key(), &self.ours.1)] {
            fs::write(path, text).unwrap();
        }
        files
    }
}

/// Removed when dropped.
pub(crate) struct Files {
    folder: PathBuf,
}

impl Files {
    pub(crate) fn ca(&self) -> String {
        self.path("ca.pem")
    }

    pub(crate) fn certificate(&self) -> String {
        self.path("certificate.pem")
    }

    pub(crate) fn key(&self) -> String {
        self.path("key.pem")
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}
