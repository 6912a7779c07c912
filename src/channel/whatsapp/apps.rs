//! Which Meta app may speak for which number.
//!
//! Every app signs with its own secret, and the signature is all that says which app posts. A number with secrets of its
//! own is heard from their app only, and that app for such numbers only: whoever gets hold of one app's secret cannot
//! write in the name of another's numbers.

use std::collections::HashMap;

use secrecy::{ExposeSecret, SecretString};

use super::Settings;

/// The apps' secrets.
pub(super) struct Apps {
    /// All of them; those of `whatsapp.app_secret` first.
    secrets: Vec<SecretString>,
    common: usize,
    /// Where the secrets of single numbers stand among them, by `phone_number_id`.
    own: HashMap<String, Vec<usize>>,
}

impl Apps {
    /// The secrets of these settings. An empty one is none: anybody could sign with it.
    pub(super) fn new(settings: &Settings) -> Self {
        let given = |secret: &&SecretString| !secret.expose_secret().is_empty();
        let mut secrets: Vec<SecretString> = settings.app_secret.iter().filter(given).cloned().collect();
        let common = secrets.len();
        let mut own: HashMap<String, Vec<usize>> = HashMap::new();
        for number in &settings.numbers {
            for secret in number.app_secret.iter().filter(given) {
                own.entry(number.phone_number_id.clone())
                    .or_default()
                    .push(secrets.len());
                secrets.push(secret.clone());
            }
        }
        Self { secrets, common, own }
    }

    /// What a signature may be made with.
    pub(super) fn secrets(&self) -> &[SecretString] {
        &self.secrets
    }

    /// Whether what was signed with this of the secrets counts for this number.
    pub(super) fn speaks_for(&self, signer: usize, number: &str) -> bool {
        let same = |index: &usize| self.secret(*index) == self.secret(signer);
        match self.own.get(number) {
            Some(own) => own.iter().any(same),
            None => (0..self.common).any(|index| same(&index)),
        }
    }

    fn secret(&self, index: usize) -> Option<&str> {
        self.secrets.get(index).map(ExposeSecret::expose_secret)
    }
}
