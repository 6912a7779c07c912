//! Sealing what must not be readable in the database file.
//!
//! The cipher is XChaCha20-Poly1305: what was changed, or moved to another row, does not open. Its nonces are long
//! enough (24 bytes) to be drawn at random. A sealed text is: the version, the key's id, the nonce, the ciphertext.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::StoreError;

/// The length of a key, in bytes.
const KEY: usize = 32;

/// The version in front of what is sealed.
const VERSION: u8 = 1;

/// The length of a key's id, in bytes: enough to tell a handful of keys apart.
const ID: usize = 4;

/// The length of a nonce, in bytes.
const NONCE: usize = 24;

/// Keys are written with padding (`openssl rand -base64 32`), and read without it too.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether this text is a key: 32 bytes in base64.
pub fn is_key(text: &str) -> bool {
    decode(text).is_some()
}

fn decode(text: &str) -> Option<[u8; KEY]> {
    BASE64.decode(text.trim()).ok()?.try_into().ok()
}

/// The live keys: the first seals, all open.
#[derive(Clone)]
pub(super) struct Keyring(Vec<Key>);

#[derive(Clone)]
struct Key {
    id: [u8; ID],
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys)", self.0.len())
    }
}

impl Key {
    fn new(bytes: &[u8; KEY]) -> Self {
        let digest = Sha256::new().chain_update(b"id of a key: ").chain_update(bytes);
        let mut id = [0; ID];
        id.copy_from_slice(&digest.finalize()[..ID]);
        Self {
            id,
            cipher: XChaCha20Poly1305::new(bytes.into()),
        }
    }
}

impl Keyring {
    /// The keys that stand in the configuration under this name.
    pub(super) fn configured(name: &str, texts: &[SecretString]) -> Result<Self, StoreError> {
        let key = |(index, text): (usize, &SecretString)| {
            let bytes = decode(text.expose_secret()).ok_or_else(|| {
                StoreError::SecretKey(format!(
                    "key {} of {name} is not 32 bytes in base64; make one with: openssl rand -base64 32",
                    index + 1
                ))
            })?;
            Ok(Key::new(&bytes))
        };
        texts
            .iter()
            .enumerate()
            .map(key)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether there is no key.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys of `store.secret_key`, and behind them the one in the file beside the database, if there is one. With
    /// `make`, and none of either, a key is made there.
    pub(super) fn load(configured: &[SecretString], database: &Path, make: bool) -> Result<Self, StoreError> {
        let Self(mut keys) = Self::configured("store.secret_key", configured)?;
        let file = key_file(database);
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let bytes = decode(&text).ok_or_else(|| {
                    StoreError::SecretKey(format!(
                        "{} holds no key; restore it from a backup",
                        file.display()
                    ))
                })?;
                keys.push(Key::new(&bytes));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if keys.is_empty() && make {
                    keys.push(Key::new(&make_file(&file)?));
                }
            }
            Err(error) => return Err(unusable(&file, &error)),
        }
        Ok(Self(keys))
    }

    /// Seals a text for the row of this name.
    pub(super) fn seal(&self, row: &str, text: &str) -> Result<Vec<u8>, StoreError> {
        let key = self.0.first().ok_or_else(|| {
            StoreError::SecretKey("there is no key to encrypt with; set store.secret_key".to_owned())
        })?;
        let nonce: [u8; NONCE] = rand::random();
        let payload = Payload {
            msg: text.as_bytes(),
            aad: row.as_bytes(),
        };
        let sealed = key
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| StoreError::SecretKey("what is to be encrypted is too long".to_owned()))?;
        Ok([&[VERSION], &key.id[..], &nonce, &sealed].concat())
    }

    /// Opens what was sealed for the row of this name; none if no key fits, or if it is not what was sealed.
    pub(super) fn open(&self, row: &str, sealed: &[u8]) -> Option<SecretString> {
        let (&version, rest) = sealed.split_first()?;
        let (id, rest) = rest.split_first_chunk::<ID>()?;
        let (nonce, msg) = rest.split_first_chunk::<NONCE>()?;
        let aad = row.as_bytes();
        let text = self
            .0
            .iter()
            .filter(|key| version == VERSION && key.id == *id)
            .find_map(|key| {
                key.cipher
                    .decrypt(&XNonce::from(*nonce), Payload { msg, aad })
                    .ok()
            })?;
        String::from_utf8(text).ok().map(SecretString::from)
    }

    /// Whether this was sealed with the key that seals now.
    pub(super) fn is_current(&self, sealed: &[u8]) -> bool {
        let id = self.0.first().map(|key| &key.id[..]);
        sealed.get(1..=ID) == id && id.is_some()
    }
}

/// The key's file: beside the database, under its name.
pub(super) fn key_file(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

/// Makes a key in a file that only this user reads. It is on the disk before it is used.
fn make_file(file: &Path) -> Result<[u8; KEY], StoreError> {
    let key: [u8; KEY] = rand::random();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut handle| {
        writeln!(handle, "{}", BASE64.encode(key))?;
        handle.sync_all()
    });
    written.map_err(|error| unusable(file, &error))?;
    tracing::info!(
        path = %file.display(),
        "store.secret_key is not set: made a key in a file beside the database; it encrypts tokens, so keep a copy of it, \
         apart from copies of the database"
    );
    Ok(key)
}

fn unusable(file: &Path, error: &std::io::Error) -> StoreError {
    StoreError::SecretKey(format!(
        "the key's file {} cannot be used: {error}; correct that, or set store.secret_key",
        file.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(keys: &[u8]) -> Keyring {
        Keyring(keys.iter().map(|key| Key::new(&[*key; KEY])).collect())
    }

    fn opened(ring: &Keyring, row: &str, sealed: &[u8]) -> Option<String> {
        ring.open(row, sealed).map(|text| text.expose_secret().to_owned())
    }

    #[test]
    fn what_is_sealed_opens_in_its_own_row_only() {
        let ring = ring(&[1]);
        let sealed = ring.seal("c/T1", "xoxb-secret").unwrap();
        assert_eq!(opened(&ring, "c/T1", &sealed).as_deref(), Some("xoxb-secret"));
        assert_eq!(opened(&ring, "c/T2", &sealed), None);
        assert_ne!(ring.seal("c/T1", "xoxb-secret").unwrap(), sealed);
        let visible = String::from_utf8_lossy(&sealed).into_owned();
        assert!(!visible.contains("xoxb"), "{visible}");
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let ring = ring(&[1]);
        let sealed = ring.seal("c/T1", "text").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(opened(&ring, "c/T1", &changed), None, "byte {index}");
            assert_eq!(opened(&ring, "c/T1", &sealed[..index]), None, "cut at {index}");
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let old = ring(&[1]).seal("r", "text").unwrap();
        let both = ring(&[2, 1]);
        assert_eq!(opened(&both, "r", &old).as_deref(), Some("text"));
        assert!(!both.is_current(&old) && both.is_current(&both.seal("r", "x").unwrap()));
        assert_eq!(opened(&ring(&[2]), "r", &old), None);
        assert!(ring(&[]).seal("r", "text").is_err() && !ring(&[]).is_current(&old));
    }

    #[test]
    fn a_key_is_32_bytes_in_base64() {
        let key = BASE64.encode([7; KEY]);
        assert!(is_key(&key) && is_key(&format!("{key}\n")) && is_key(key.trim_end_matches('=')));
        for bad in [
            "",
            "short",
            &BASE64.encode([7; 31]),
            &BASE64.encode([7; 33]),
            &"!".repeat(44),
        ] {
            assert!(!is_key(bad), "{bad}");
        }
    }

    #[test]
    fn a_key_is_made_once_and_kept_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        assert!(Keyring::load(&[], &database, false).unwrap().0.is_empty());
        let made = Keyring::load(&[], &database, true).unwrap();
        let sealed = made.seal("r", "text").unwrap();
        let again = Keyring::load(&[], &database, true).unwrap();
        assert_eq!(opened(&again, "r", &sealed).as_deref(), Some("text"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let rights = std::fs::metadata(key_file(&database))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(rights & 0o777, 0o600);
        }
        // Whoever sets a key later still opens what the made one sealed.
        let configured = [SecretString::from(BASE64.encode([9; KEY]))];
        let theirs = Keyring::load(&configured, &database, true).unwrap();
        assert_eq!(opened(&theirs, "r", &sealed).as_deref(), Some("text"));
        assert!(!theirs.is_current(&sealed));
    }
}
