use std::time::{Duration, SystemTime};

use super::*;
use crate::store::identities;
use crate::store::schema;
use sealift_types::ErrorCode;

fn catalog() -> (tempfile::TempDir, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let connection = schema::open(&dir.path().join("catalog.db")).unwrap();
    (dir, connection)
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn issue(connection: &Connection, identity: i64, what: &[u8], origin: CertificateOrigin<'_>) -> Digest {
    let fingerprint = Digest::of(what);
    let new = NewCertificate { fingerprint: &fingerprint, issued_at: 10, expires_at: 100, origin };
    add(connection, identity, new).unwrap();
    fingerprint
}

#[test]
fn a_machine_loses_all_its_certificates_and_no_other_does() {
    let (_dir, connection) = catalog();
    let alice = identities::ensure(&connection, &name("alice"), 1).unwrap();
    let laptop = issue(&connection, alice, b"laptop", CertificateOrigin::Token(Some("laptop\u{1b}[0m")));
    let renew = |from: &Digest, what: &[u8]| {
        issue(&connection, alice, what, CertificateOrigin::Renewal(&machine(&connection, from).unwrap()))
    };
    let renewed = renew(&laptop, b"renewed");
    let again = renew(&renewed, b"again");
    let desktop = issue(&connection, alice, b"desktop", CertificateOrigin::Token(None));
    // From before there were origins.
    let sql =
        "INSERT INTO certificates (fingerprint, identity, issued_at, expires_at) VALUES (?1, ?2, 1, 100)";
    let old = Digest::of(b"old");
    connection.execute(sql, params![old.as_bytes(), alice]).unwrap();
    let old_renewed = renew(&old, b"old renewed");

    let listed = list(&connection, Some(&name("alice")), false, 20).unwrap();
    assert_eq!(listed.len(), 6);
    let shown = listed.iter().find(|row| row.fingerprint == again).unwrap();
    assert_eq!(shown.machine.as_deref(), Some("laptop[0m"), "a renewed certificate is the same machine's");
    // Whichever of them is named, the machine has none left.
    let revoked = revoke_machine(&connection, &renewed.to_string()[..12], 20).unwrap();
    let mut lost = revoked.certificates;
    lost.sort();
    let mut all = vec![laptop, renewed, again];
    all.sort();
    assert_eq!((lost, revoked.identity.as_str()), (all, "alice"));
    let good: Vec<_> =
        list(&connection, None, false, 20).unwrap().into_iter().map(|row| row.fingerprint).collect();
    assert!(good.len() == 3 && [desktop, old, old_renewed].iter().all(|one| good.contains(one)));
    assert_eq!(revoke_machine(&connection, &old_renewed.to_string(), 20).unwrap().certificates.len(), 2);
    assert!(revoke_machine(&connection, &laptop.to_string(), 21).unwrap().certificates.is_empty());
    assert_eq!(list(&connection, None, true, 20).unwrap().len(), 6);

    let code = |digits: &str| revoke_machine(&connection, digits, 20).unwrap_err().to_wire().code;
    assert_eq!(code("0123456789abcdef"), ErrorCode::NotFound);
    for wrong in ["", "1234567", "no digits", "%%%%%%%%%"] {
        assert_eq!(code(wrong), ErrorCode::BadRequest, "{wrong}");
    }
}

#[test]
fn uses_are_noted_once_an_hour() {
    let (_dir, connection) = catalog();
    let alice = identities::ensure(&connection, &name("alice"), 1).unwrap();
    let print = issue(&connection, alice, b"laptop", CertificateOrigin::Token(None));
    let hour = 3_600_000_000_000;
    assert!(is_use_worth_a_note(&connection, &print, 5).unwrap());
    note_use(&connection, &print, "192.0.2.7", 5).unwrap();
    assert!(!is_use_worth_a_note(&connection, &print, 5 + hour).unwrap());
    assert!(is_use_worth_a_note(&connection, &print, 6 + hour).unwrap());
    assert!(is_use_worth_a_note(&connection, &print, 4).unwrap(), "a clock was wrong");
    assert_eq!(list(&connection, None, true, 20).unwrap()[0].address.as_deref(), Some("192.0.2.7"));
    assert!(!is_use_worth_a_note(&connection, &Digest::of(b"unknown"), 5).unwrap());
}

/// A catalog that was restored: its backup was taken at 1000 s, and it is served again at 2000 s.
fn restored() -> (tempfile::TempDir, Connection) {
    let (dir, connection) = catalog();
    identities::ensure(&connection, &name("alice"), 1).unwrap();
    facts::set(&connection, facts::BACKUP_TAKEN, &seconds(1000).to_string()).unwrap();
    identities::invite(&connection, &name("bob"), &Digest::of(b"token"), 1, seconds(9999)).unwrap();
    let restored = catch_up(&connection, &[], seconds(2000)).unwrap();
    assert_eq!(restored, Some(Restored { taken_at: seconds(1000), withdrawn: 1, adopts: true }));
    assert!(identities::redeem(&connection, &Digest::of(b"token"), seconds(2001)).is_err());
    assert_eq!(catch_up(&connection, &[], seconds(3000)).unwrap(), None, "once");
    (dir, connection)
}

/// One whose backup and start are at other moments.
fn restored_at(taken: i64, started: i64) -> (tempfile::TempDir, Connection) {
    let (dir, connection) = catalog();
    identities::ensure(&connection, &name("alice"), 1).unwrap();
    facts::set(&connection, facts::BACKUP_TAKEN, &seconds(taken).to_string()).unwrap();
    catch_up(&connection, &[], seconds(started)).unwrap();
    (dir, connection)
}

fn seconds(seconds: i64) -> Nanoseconds {
    seconds * 1_000_000_000
}

fn issued_at(moment: u64) -> Validity {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(moment + 1_000_000);
    Validity::starting(now, Duration::from_secs(10_000))
}

#[test]
fn certificates_from_between_backup_and_restoring_are_taken_in_and_no_others() {
    let shifted = |list: &[(RevocationSubject, i64)]| -> Vec<Revocation> {
        let one = |(subject, at): &(RevocationSubject, i64)| Revocation {
            subject: subject.clone(),
            at: seconds(at + 1_000_000),
        };
        list.iter().map(one).collect()
    };
    let print = Digest::of(b"renewed");
    for (who, issued, list, expected) in [
        ("alice", 1500, vec![], true),
        ("alice", 1000, vec![], true),
        ("alice", 998, vec![], false),
        ("alice", 2001, vec![], false),
        ("bob", 1500, vec![], false),
        ("alice", 1500, vec![(RevocationSubject::Certificate(print), 1600)], false),
        ("alice", 1500, vec![(RevocationSubject::Certificate(Digest::of(b"another")), 1600)], true),
        ("alice", 1500, vec![(RevocationSubject::Identity(name("alice")), 1600)], false),
        ("alice", 1500, vec![(RevocationSubject::Identity(name("bob")), 1600)], true),
        // Invited again after that, and so she has it.
        ("alice", 1500, vec![(RevocationSubject::Identity(name("alice")), 1400)], true),
    ] {
        let (_dir, connection) = restored_at(1_001_000, 1_002_000);
        let list = shifted(&list);
        let adopted = adopt(&connection, &print, None, &name(who), issued_at(issued), &list).unwrap();
        assert_eq!(adopted == Adoption::Adopted, expected, "{who} {issued} {list:?}");
        let known = is_known(&connection, &print).unwrap();
        assert_eq!(known, expected);
        let again = adopt(&connection, &print, None, &name(who), issued_at(issued), &list).unwrap();
        assert_ne!(again, Adoption::Adopted, "once");
    }
    // A catalog that was never restored takes in nothing.
    let (_dir, connection) = catalog();
    identities::ensure(&connection, &name("alice"), 1).unwrap();
    let adopted = adopt(&connection, &print, None, &name("alice"), issued_at(1500), &[]).unwrap();
    assert_eq!(adopted, Adoption::Unknown);
}

/// A machine of a restored catalog that renewed its certificate after the backup, once or again, comes back as itself.
#[test]
fn a_certificate_that_is_taken_in_belongs_to_the_machine_of_its_origin() {
    #[derive(Debug)]
    enum Revoked {
        Before(Digest),
        After(Digest),
        ElsewhereOnly(Digest),
    }
    let (first, second, third) = (Digest::of(b"first"), Digest::of(b"second"), Digest::of(b"third"));
    // The second is known to the backup and the third is not. Whichever is named, before or after that one is seen, the
    // machine is out; also where the certificate that it all began with has gone.
    for knows_first in [true, false] {
        for revoked in [
            Revoked::Before(second),
            Revoked::After(second),
            Revoked::After(third),
            Revoked::ElsewhereOnly(first),
            Revoked::ElsewhereOnly(third),
        ] {
            let (_dir, connection) = restored_at(1_001_000, 1_002_000);
            let alice = identities::ensure(&connection, &name("alice"), 1).unwrap();
            let laptop = Machine { name: Some("laptop".to_owned()), origin: first };
            for known in [first, second].into_iter().skip(usize::from(!knows_first)) {
                let origin = CertificateOrigin::Renewal(&laptop);
                let new = NewCertificate {
                    fingerprint: &known,
                    issued_at: 1,
                    expires_at: seconds(9_999_999),
                    origin,
                };
                add(&connection, alice, new).unwrap();
            }
            let other = issue(&connection, alice, b"other", CertificateOrigin::Token(None));
            let now = seconds(1_002_001);
            let list: Vec<_> = match revoked {
                Revoked::ElsewhereOnly(print) => {
                    vec![Revocation {
                        subject: RevocationSubject::Certificate(print),
                        at: seconds(1_001_700),
                    }]
                }
                _ => vec![],
            };
            let revoke = |digest: Digest| revoke_machine(&connection, &digest.to_string(), now).unwrap();
            if let Revoked::Before(digest) = revoked {
                revoke(digest);
            }
            let adopted =
                adopt(&connection, &third, Some(&first), &name("alice"), issued_at(1500), &list).unwrap();
            let expected =
                if matches!(revoked, Revoked::After(_)) { Adoption::Adopted } else { Adoption::Revoked };
            assert_eq!(adopted, expected, "{revoked:?}");
            if let Revoked::After(digest) = revoked {
                let lost = revoke(digest);
                assert_eq!(lost.machine, laptop);
                assert!([second, third].iter().all(|one| lost.certificates.contains(one)), "{lost:?}");
                assert!(!lost.certificates.contains(&other));
            }
        }
    }
}

#[test]
fn what_was_revoked_stays_so_and_who_was_invited_again_is_not_revoked_again() {
    let (_dir, connection) = restored();
    let alice = identities::ensure(&connection, &name("alice"), 1).unwrap();
    let old = issue(&connection, alice, b"old", CertificateOrigin::Token(None));
    let list = [
        Revocation { subject: RevocationSubject::Certificate(old), at: 50 },
        Revocation { subject: RevocationSubject::Identity(name("alice")), at: 50 },
    ];
    for _ in 0..2 {
        catch_up(&connection, &list, 60).unwrap();
        let rows = identities::all(&connection, 60).unwrap();
        assert_eq!((rows[0].revoked_at, rows[0].certificates), (Some(50), 0));
    }
    identities::ensure(&connection, &name("alice"), 70).unwrap();
    let new = issue(&connection, alice, b"new", CertificateOrigin::Token(None));
    catch_up(&connection, &list, 80).unwrap();
    let rows = identities::all(&connection, 80).unwrap();
    assert_eq!((rows[0].revoked_at, rows[0].certificates), (None, 1));
    assert!(identities::is_revoked(&connection, &old).unwrap());
    assert!(!identities::is_revoked(&connection, &new).unwrap());
}

/// The list may come from a server whose catalog knew less: it names a machine by its first certificate, and an identity at a
/// moment.
#[test]
fn a_restored_catalog_takes_the_list_for_what_another_one_did_not_know() {
    for is_restored in [true, false] {
        let (_dir, connection) = catalog();
        let [alice, bob] =
            ["alice", "bob"].map(|who| identities::ensure(&connection, &name(who), 1).unwrap());
        let first = issue(&connection, alice, b"first", CertificateOrigin::Token(None));
        let laptop = machine(&connection, &first).unwrap();
        let renewed = issue(&connection, alice, b"renewed", CertificateOrigin::Renewal(&laptop));
        let other = issue(&connection, alice, b"other", CertificateOrigin::Token(None));
        let of_bob = issue(&connection, bob, b"bob", CertificateOrigin::Token(None));
        let again = Digest::of(b"again");
        let new = NewCertificate {
            fingerprint: &again,
            issued_at: 60,
            expires_at: 100,
            origin: CertificateOrigin::Token(None),
        };
        add(&connection, bob, new).unwrap();
        if is_restored {
            facts::set(&connection, facts::BACKUP_TAKEN, "40").unwrap();
        }
        let list = [
            Revocation { subject: RevocationSubject::Certificate(first), at: 50 },
            Revocation { subject: RevocationSubject::Identity(name("bob")), at: 50 },
        ];
        catch_up(&connection, &list, 70).unwrap();
        let revoked = |print| identities::is_revoked(&connection, print).unwrap();
        assert!(revoked(&first));
        assert_eq!((revoked(&renewed), revoked(&of_bob)), (is_restored, is_restored));
        assert!(!revoked(&other) && !revoked(&again), "another machine, and one that joined after it");
        assert!(identities::all(&connection, 70).unwrap().iter().all(|row| row.revoked_at.is_none()));
    }
}

#[test]
fn a_backup_that_is_not_told_of_revocations_any_more_takes_in_no_certificate() {
    let day = seconds(86_400);
    for (life, age, adopts) in
        [(0, 89, true), (0, 91, false), (7, 91, false), (365, 91, true), (365, 366, false)]
    {
        let (_dir, connection) = catalog();
        let alice = identities::ensure(&connection, &name("alice"), 1).unwrap();
        let known = Digest::of(b"known");
        let origin = CertificateOrigin::Token(None);
        let new = NewCertificate { fingerprint: &known, issued_at: 0, expires_at: life * day, origin };
        add(&connection, alice, new).unwrap();
        facts::set(&connection, facts::BACKUP_TAKEN, &seconds(1_001_000).to_string()).unwrap();
        let now = seconds(1_001_000) + age * day;
        assert_eq!(catch_up(&connection, &[], now).unwrap().unwrap().adopts, adopts, "{life} {age}");
        let print = Digest::of(b"renewed");
        let adopted = adopt(&connection, &print, None, &name("alice"), issued_at(1500), &[]).unwrap();
        assert_eq!(adopted == Adoption::Adopted, adopts);
        // The other end of the same rule.
        let oldest = now - longest_life(&connection).unwrap();
        assert_eq!(seconds(1_001_000) > oldest, adopts);
    }
}
