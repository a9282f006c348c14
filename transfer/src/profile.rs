//! Profiles: what an enrolled machine keeps of a server.
//!
//! A profile is a directory: `profile.toml` (the identity, the trust domain, the addresses), `authority.pem` (the
//! server's CA certificate, the only trust anchor) and `identity.pem` (this machine's certificate and its private key).
//! Certificate and key are one file, so that a renewal replaces both in one rename: no moment, however unlucky, leaves
//! a certificate beside a key that is not its own. `reached` has the address that led to the server last. Files are 0600,
//! directories 0700.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sealift_certs::{
    CertError, Identity, JoinToken, KeyPem, TrustDomain, Validity, certificate_from_pem, files, fingerprint,
    tls, validity,
};
use sealift_types::Name;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::address::Address;
use crate::error::plain;

const DESCRIPTION: &str = "profile.toml";
const AUTHORITY: &str = "authority.pem";
const IDENTITY: &str = "identity.pem";
/// The address that led to the server last.
const REACHED: &str = "reached";
/// Files that take up disk space and inodes for those of a profile until the profile is saved.
const RESERVATIONS: [&str; 3] = ["reservation-1", "reservation-2", "reservation-3"];
/// Size of each in bytes: several times that of a usual file of a profile.
const RESERVED: usize = 8 * 1024;
/// The highest number that is tried behind the name of a profile whose name is taken.
const TRIED: u32 = 1000;
/// What a profile is called that is out of sight.
const ASIDE: &str = "old";

/// The profile that is used when none is chosen, and the name under which the first join is saved.
pub fn default_name() -> Name {
    "default".parse().expect("the default is a name")
}

/// The directory in which all profiles are.
#[derive(Debug, Clone)]
pub struct Profiles {
    directory: PathBuf,
}

/// What an enrolled machine keeps of a server.
#[derive(Debug, Clone)]
pub struct Profile {
    /// What it is called on this machine.
    pub name: Name,
    /// Who this machine is there.
    pub identity: Name,
    /// The server's trust domain.
    pub trust_domain: TrustDomain,
    /// Where the server may be reached, best first; never none.
    pub addresses: Vec<Address>,
    authority_pem: String,
    credentials: Credentials,
    directory: PathBuf,
}

/// A certificate and its private key, PEM, one behind the other; erased from memory when dropped.
#[derive(Clone)]
struct Credentials(Zeroizing<String>);

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// What `profile.toml` holds.
#[derive(Debug, Serialize, Deserialize)]
struct ProfileFile {
    identity: Name,
    trust_domain: String,
    addresses: Vec<String>,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// There is none of that name.
    #[error("there is no profile {0}: join a server first, with a token from its administrator")]
    Missing(Name),
    /// There is one of that name already.
    #[error("the profile {name} exists already: choose another name, or remove {}", directory.display())]
    Exists {
        /// Its name.
        name: Name,
        /// Where it is.
        directory: PathBuf,
    },
    /// A new one could not take its place, and it could not be put back there.
    #[error(
        "the new profile could not be put at {} ({}), and the old one neither: it is in {}, move it back",
        directory.display(), plain(source), old.display()
    )]
    SetAside {
        /// Where it should be.
        directory: PathBuf,
        /// Where it is.
        old: PathBuf,
        /// Why the new one could not be put there.
        source: io::Error,
    },
    /// A file of it is damaged.
    #[error("the profile's file {} is damaged ({reason}): restore it, or join again", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Its certificates or its key are of no use.
    #[error("the profile in {}: {source}", directory.display())]
    Credentials {
        /// Where the profile is.
        directory: PathBuf,
        /// What is wrong.
        source: Box<CertError>,
    },
    /// It cannot be written to, so the server is not asked for a new certificate.
    #[error(
        "a new certificate could not be saved in {} ({}), so none was asked for: make the directory writable before the \
         old one expires",
        directory.display(), plain(source)
    )]
    Unrenewable {
        /// Where the profile is.
        directory: PathBuf,
        /// Why it cannot be written to.
        source: io::Error,
    },
    /// A file of it cannot be read or written.
    #[error("the profile's file {} cannot be used: {}", path.display(), plain(source))]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Profiles {
    /// The profiles in `directory`, which comes into being with the first.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The names of all profiles, sorted.
    ///
    /// # Errors
    /// Fails when the directory is there and cannot be read.
    pub fn names(&self) -> Result<Vec<Name>, ProfileError> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(at(&self.directory))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(at(&self.directory))?;
            let name = entry.file_name().to_str().and_then(|name| name.parse().ok());
            names.extend(name.filter(|name| self.contains(name)));
        }
        names.sort();
        Ok(names)
    }

    /// Whether there is a profile of this name. One that cannot be looked into is one, too.
    pub fn contains(&self, name: &Name) -> bool {
        match fs::metadata(self.directory.join(name.as_str()).join(DESCRIPTION)) {
            Ok(description) => description.is_file(),
            Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }

    /// Reads a profile.
    ///
    /// # Errors
    /// Fails when there is none of this name, and when it is not readable.
    pub fn load(&self, name: &Name) -> Result<Profile, ProfileError> {
        let directory = self.directory.join(name.as_str());
        let path = directory.join(DESCRIPTION);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ProfileError::Missing(name.clone()));
            }
            text => text.map_err(at(&path))?,
        };
        let damaged = |reason: String| ProfileError::Damaged { path: path.clone(), reason };
        let description: ProfileFile =
            toml::from_str(&text).map_err(|error| damaged(error.message().to_owned()))?;
        let trust_domain = description.trust_domain.parse();
        let addresses: Result<Vec<Address>, _> =
            description.addresses.iter().map(|address| address.parse()).collect();
        let addresses = addresses.map_err(|error| damaged(error.to_string()))?;
        if addresses.is_empty() {
            return Err(damaged("it has no address".into()));
        }
        Ok(Profile {
            name: name.clone(),
            identity: description.identity,
            trust_domain: trust_domain
                .map_err(|error: sealift_certs::trust_domain::TrustDomainError| damaged(error.to_string()))?,
            addresses,
            authority_pem: read(&directory.join(AUTHORITY))?,
            credentials: Credentials(Zeroizing::new(read(&directory.join(IDENTITY))?)),
            directory,
        })
    }

    /// Whose profile it is, by its description or else by its certificate; `None` if there is neither.
    ///
    /// # Errors
    /// Fails when the profile cannot be read, so that it may be anybody's.
    pub fn identity(&self, name: &Name) -> Result<Option<Name>, ProfileError> {
        if let Ok(profile) = self.load(name) {
            return Ok(Some(profile.identity));
        }
        let path = self.directory.join(name.as_str()).join(IDENTITY);
        let pem = match fs::read(&path) {
            Ok(pem) => pem,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at(&path)(error)),
        };
        let certificate = CertificateDer::from_pem_slice(&pem).ok();
        let identity = certificate.and_then(|certificate| Identity::of_certificate(&certificate).ok());
        Ok(identity.and_then(|identity| identity.user().cloned()))
    }

    /// Whether a token is for the server of this profile, by its authority or by one of its addresses. A profile that
    /// is gone, or too damaged to tell, may be any server's.
    pub fn is_of_server(&self, name: &Name, token: &JoinToken) -> bool {
        let authority = read(&self.directory.join(name.as_str()).join(AUTHORITY)).ok();
        let authority = authority.and_then(|pem| certificate_from_pem(&pem).ok());
        let same = authority.map(|certificate| fingerprint(&certificate) == token.fingerprint);
        let shares_an_address = |profile: Profile| {
            token
                .addresses
                .iter()
                .any(|address| address.parse().is_ok_and(|it| profile.addresses.contains(&it)))
        };
        match self.load(name) {
            Ok(profile) => same == Some(true) || shares_an_address(profile),
            Err(_) => same.unwrap_or(true),
        }
    }

    /// Whether a machine that joins with the token may have this profile replaced: it is of the server that the token names,
    /// or so damaged that it is of no use.
    ///
    /// An address proves nothing, unlike in [`is_of_server`](Self::is_of_server): a token from somebody else must not
    /// replace a profile that is good.
    pub fn may_be_replaced(&self, name: &Name, token: &JoinToken) -> bool {
        let authority = read(&self.directory.join(name.as_str()).join(AUTHORITY)).ok();
        let authority = authority.and_then(|pem| certificate_from_pem(&pem).ok());
        authority.is_none_or(|certificate| fingerprint(&certificate) == token.fingerprint)
    }

    /// Makes room for a new profile, before anything is spent on obtaining one.
    ///
    /// # Errors
    /// Fails when there is one of this name already, or the place cannot be written.
    pub fn reserve(&self, name: &Name) -> Result<NewProfile, ProfileError> {
        let target = self.directory.join(name.as_str());
        if target.exists() {
            return Err(ProfileError::Exists { name: name.clone(), directory: target });
        }
        self.reserve_again(name).map(|place| NewProfile { again: false, ..place })
    }

    /// Makes room for a profile that takes the place of the one of this name, if there is one.
    ///
    /// # Errors
    /// Fails when the place cannot be written.
    pub fn reserve_again(&self, name: &Name) -> Result<NewProfile, ProfileError> {
        files::create_private_dir(&self.directory).map_err(at(&self.directory))?;
        let draft = private_draft(&self.directory)?;
        for name in RESERVATIONS {
            let path = draft.path().join(name);
            files::write_private(&path, &[0; RESERVED]).map_err(at(&path))?;
        }
        Ok(NewProfile { draft, directory: self.directory.clone(), name: Some(name.clone()), again: true })
    }

    /// Removes a profile with its key, which nobody can bring back.
    ///
    /// # Errors
    /// Fails when there is none of this name, and when it cannot be removed.
    pub fn remove(&self, name: &Name) -> Result<(), ProfileError> {
        let directory = self.directory.join(name.as_str());
        // It goes at once, however long its files take.
        let aside = set_aside(&directory)?.ok_or_else(|| ProfileError::Missing(name.clone()))?;
        sync_directory(&self.directory);
        let path = aside.path().to_owned();
        aside.close().map_err(at(&path))
    }

    /// Gives a profile another name.
    ///
    /// # Errors
    /// Fails when there is none of the one name or one of the other, and when the directory cannot be written.
    pub fn rename(&self, from: &Name, to: &Name) -> Result<(), ProfileError> {
        let (old, new) = (self.directory.join(from.as_str()), self.directory.join(to.as_str()));
        if new.exists() {
            return Err(ProfileError::Exists { name: to.clone(), directory: new });
        }
        fs::rename(&old, &new).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ProfileError::Missing(from.clone()),
            _ => ProfileError::Io { path: old, source },
        })?;
        sync_directory(&self.directory);
        Ok(())
    }
}

/// A place for a profile that is about to be obtained. It vanishes when nothing is saved in it.
#[derive(Debug)]
pub struct NewProfile {
    draft: TempDir,
    /// Where all profiles are.
    directory: PathBuf,
    /// What it is to be called; `None` for a name like its identity's.
    name: Option<Name>,
    /// Whether it may take the place of another.
    again: bool,
}

/// A place for a certificate and its key that the server is about to be asked for. It vanishes when they do not come.
#[derive(Debug)]
pub struct PendingRenewal(files::PrivateFile);

/// What a server gives a machine that joins, checked.
#[derive(Debug)]
pub struct Enrolment {
    /// Who this machine is there.
    pub identity: Name,
    /// The server's trust domain.
    pub trust_domain: TrustDomain,
    /// Where the server may be reached, best first.
    pub addresses: Vec<Address>,
    /// The server's CA certificate, PEM.
    pub authority_pem: String,
    /// This machine's certificate, PEM.
    pub certificate_pem: String,
    /// This machine's private key, PEM.
    pub key_pem: KeyPem,
}

impl NewProfile {
    /// The same place for a profile that gets a free name, like that of its identity, and takes the place of no other.
    #[must_use]
    pub fn beside(self) -> Self {
        Self { name: None, again: false, ..self }
    }

    /// Saves a profile, whole or not at all. It is durable when this returns, and one whose place it takes is gone.
    ///
    /// A token was spent on it. So if another process has taken the name meanwhile, this one gets a free name, like that of
    /// its identity.
    ///
    /// # Errors
    /// Fails when the files cannot be written.
    pub fn save(self, enrolment: &Enrolment) -> Result<Profile, ProfileError> {
        let description = ProfileFile {
            identity: enrolment.identity.clone(),
            trust_domain: enrolment.trust_domain.to_string(),
            addresses: enrolment.addresses.iter().map(Address::to_string).collect(),
        };
        let description = toml::to_string(&description).map_err(|error| ProfileError::Damaged {
            path: self.draft.path().join(DESCRIPTION),
            reason: error.to_string(),
        })?;
        let credentials = credentials(&enrolment.certificate_pem, &enrolment.key_pem);
        let contents = [
            (AUTHORITY, enrolment.authority_pem.as_str()),
            (IDENTITY, credentials.0.as_str()),
            (DESCRIPTION, description.as_str()),
        ];
        for (reservation, (file, contents)) in RESERVATIONS.into_iter().zip(contents) {
            let reservation = self.draft.path().join(reservation);
            fs::remove_file(&reservation).map_err(at(&reservation))?;
            let path = self.draft.path().join(file);
            files::write_private(&path, contents.as_bytes()).map_err(at(&path))?;
        }
        let name = self.put_in_place(&enrolment.identity)?;
        sync_directory(&self.directory);
        Ok(Profile {
            directory: self.directory.join(name.as_str()),
            name,
            identity: enrolment.identity.clone(),
            trust_domain: enrolment.trust_domain.clone(),
            addresses: enrolment.addresses.clone(),
            authority_pem: enrolment.authority_pem.clone(),
            credentials,
        })
    }

    /// Gives the profile its name.
    ///
    /// A rename never replaces a directory that has something in it, so no profile is lost to a race.
    fn put_in_place(&self, identity: &Name) -> Result<Name, ProfileError> {
        if let Some(name) = self.name.as_ref().filter(|_| self.again) {
            match self.replace(name) {
                Ok(()) => return Ok(name.clone()),
                Err(error @ ProfileError::SetAside { .. }) => return Err(error),
                // One that may not be moved stays.
                Err(_) => {}
            }
        }
        // A long identity leaves no room for a number.
        let numbered = (2..=TRIED).filter_map(|number| format!("{identity}-{number}").parse().ok());
        for name in self.name.clone().into_iter().chain([identity.clone()]).chain(numbered) {
            let target = self.directory.join(name.as_str());
            match fs::rename(self.draft.path(), &target) {
                Ok(()) => return Ok(name),
                Err(error) if is_taken(&error) => {}
                Err(error) => return Err(at(&target)(error)),
            }
        }
        let name = identity.clone();
        Err(ProfileError::Exists { directory: self.directory.join(name.as_str()), name })
    }

    /// Takes the place of the profile of this name. That one gets it back should this fail, and is never lost.
    fn replace(&self, name: &Name) -> Result<(), ProfileError> {
        let target = self.directory.join(name.as_str());
        loop {
            let old = set_aside(&target)?;
            let Err(source) = fs::rename(self.draft.path(), &target) else { return Ok(()) };
            // Somebody else has just taken it, and the last one counts.
            if is_taken(&source) {
                continue;
            }
            if let Some(old) = old
                && fs::rename(old.path().join(ASIDE), &target).is_err()
            {
                let old = old.keep().join(ASIDE);
                return Err(ProfileError::SetAside { directory: target, old, source });
            }
            return Err(at(&target)(source));
        }
    }
}

impl Profile {
    /// The address that led to the server last, if it is still one of them.
    pub(crate) fn reached(&self) -> Option<Address> {
        let text = fs::read_to_string(self.directory.join(REACHED)).ok()?;
        let reached: Address = text.trim().parse().ok()?;
        self.addresses.contains(&reached).then_some(reached)
    }

    /// Notes which address led to the server, for the next run. Where that cannot be written, it is found out again.
    pub(crate) fn remember(&self, address: &Address) {
        if self.addresses.len() > 1 {
            let _ = files::write_private(&self.directory.join(REACHED), address.to_string().as_bytes());
        }
    }

    /// How this machine connects.
    ///
    /// # Errors
    /// Fails when a file of the profile does not hold what it should.
    pub fn tls(&self) -> Result<Arc<ClientConfig>, ProfileError> {
        tls::client_config(&self.authority_pem, &self.credentials.0, &self.credentials.0).map_err(|source| {
            ProfileError::Credentials { directory: self.directory.clone(), source: Box::new(source) }
        })
    }

    /// From when to when this machine's certificate is valid.
    ///
    /// # Errors
    /// Fails when the certificate is not readable.
    pub fn validity(&self) -> Result<Validity, CertError> {
        let certificate = CertificateDer::from_pem_slice(self.credentials.0.as_bytes());
        Ok(validity(&certificate.map_err(|_| CertError::Pem { what: "client certificate" })?)?)
    }

    /// Where the profile is kept.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes room for a new certificate and its key, before the server is asked for one.
    ///
    /// # Errors
    /// Fails when the profile cannot be written to.
    pub fn prepare_renewal(&self) -> Result<PendingRenewal, ProfileError> {
        let path = self.directory.join(IDENTITY);
        files::PrivateFile::create(&path)
            .map(PendingRenewal)
            .map_err(|source| ProfileError::Unrenewable { directory: self.directory.clone(), source })
    }

    /// Replaces certificate and key, at once, after a check that they work.
    ///
    /// # Errors
    /// Fails when they are not a pair, and when the file cannot be written; the old ones are kept then.
    pub fn replace_identity(
        &mut self,
        place: PendingRenewal,
        certificate_pem: &str,
        key: &KeyPem,
    ) -> Result<(), crate::TransferError> {
        let renewed = Self { credentials: credentials(certificate_pem, key), ..self.clone() };
        renewed.tls()?;
        let path = self.directory.join(IDENTITY);
        place.0.write(renewed.credentials.0.as_bytes()).map_err(at(&path))?;
        *self = renewed;
        Ok(())
    }
}

fn credentials(certificate_pem: &str, key: &KeyPem) -> Credentials {
    let separator = if certificate_pem.ends_with('\n') { "" } else { "\n" };
    Credentials(Zeroizing::new([certificate_pem, separator, key.as_str()].concat()))
}

/// A directory that nobody else can look into, and that goes when it is dropped.
fn private_draft(directory: &Path) -> Result<TempDir, ProfileError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".new-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir_in(directory).map_err(at(directory))
}

/// Moves a profile out of sight, if there is one: it is gone when what is returned is dropped.
fn set_aside(profile: &Path) -> Result<Option<TempDir>, ProfileError> {
    if profile.symlink_metadata().is_err() {
        return Ok(None);
    }
    let aside = private_draft(profile.parent().unwrap_or(profile))?;
    fs::rename(profile, aside.path().join(ASIDE)).map_err(at(profile))?;
    Ok(Some(aside))
}

/// Whether a directory could not be renamed because something has the name already.
fn is_taken(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotADirectory};
    matches!(error.kind(), AlreadyExists | DirectoryNotEmpty | NotADirectory)
}

fn read(path: &Path) -> Result<String, ProfileError> {
    fs::read_to_string(path).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ProfileError {
    move |source| ProfileError::Io { path: path.to_owned(), source }
}

/// Makes a rename durable, where the system needs to be told.
fn sync_directory(path: &Path) {
    if cfg!(unix) {
        // The profile is complete and in place; a power cut in the next seconds is all that this guards against.
        let _ = fs::File::open(path).and_then(|directory| directory.sync_all());
    }
}

#[cfg(test)]
mod tests;
