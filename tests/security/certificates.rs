//! Certificates, created for each run: two independent authorities, the broker's certificate, and the clients'.

use std::path::{Path, PathBuf};
use std::{fs, process};

use kafka_batch_certificates::{Authority, Identity};

/// All in PEM.
pub(crate) struct Certificates {
    /// The authority of the broker and of the client.
    pub(crate) ca: String,
    /// The broker's certificate, for 127.0.0.1.
    pub(crate) broker: Identity,
    /// The client's certificate.
    pub(crate) client: Identity,
    /// Another authority.
    pub(crate) foreign_ca: String,
    /// A certificate of that authority for the client.
    foreign: Identity,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let (authority, foreign) = (Authority::new("authority"), Authority::new("foreign authority"));
        Self {
            broker: authority.sign("127.0.0.1"),
            client: authority.sign("us"),
            foreign: foreign.sign("us"),
            ca: authority.certificate,
            foreign_ca: foreign.certificate,
        }
    }

    pub(crate) fn foreign_identity(&self) -> Vec<(&str, &str)> {
        vec![("ssl.certificate.pem", &self.foreign.certificate), ("ssl.key.pem", &self.foreign.key)]
    }

    /// Writes the authority and the client's certificate and key to files.
    pub(crate) fn files(&self) -> Files {
        self.files_of(&self.client)
    }

    /// Writes the authority, and a certificate that the broker does not trust, to files.
    pub(crate) fn files_of_a_stranger(&self) -> Files {
        self.files_of(&self.foreign)
    }

    fn files_of(&self, identity: &Identity) -> Files {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("security-{}-{number}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let files = Files { folder };
        let Identity { certificate, key } = identity;
        for (path, text) in [(files.ca(), &self.ca), (files.certificate(), certificate), (files.key(), key)] {
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
