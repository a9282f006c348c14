//! OpenSSL as a second implementation. These tests need the `openssl` command and fail without it.

use std::fs;
use std::process::{Command, Output};

use sealift_certs::{Authority, Identity, RequestError, TrustDomain, new_key_and_request};
use tempfile::TempDir;

use crate::world::World;

#[test]
fn each_certificate_is_good_for_its_own_purpose_only() {
    let files = Files::issued();
    for (leaf, right, wrong) in
        [("user.pem", "sslclient", "sslserver"), ("server.pem", "sslserver", "sslclient")]
    {
        files.succeeds(&["verify", "-x509_strict", "-purpose", right, "-CAfile", "ca.pem", leaf]);
        let said = files.fails(&["verify", "-x509_strict", "-purpose", wrong, "-CAfile", "ca.pem", leaf]);
        assert!(said.contains("unsuitable certificate purpose"), "{said}");
        let said = files.fails(&["verify", "-purpose", right, "-CAfile", "other.pem", leaf]);
        assert!(said.contains("unable to get local issuer certificate"), "{said}");
    }
}

#[test]
fn no_leaf_can_sign_another() {
    let files = Files::issued();
    files.write("evil.ext", "basicConstraints=CA:FALSE\n");
    files.succeeds(&["req", "-new", "-key", "other.key", "-subj", "/CN=evil", "-out", "evil.csr"]);
    let sign =
        ["x509", "-req", "-in", "evil.csr", "-CA", "user.pem", "-CAkey", "user.key", "-extfile", "evil.ext"];
    files.succeeds(&[&sign[..], &["-out", "evil.pem"]].concat());
    let said = files.fails(&["verify", "-CAfile", "ca.pem", "-untrusted", "user.pem", "evil.pem"]);
    assert!(said.contains("invalid CA certificate"), "{said}");
}

#[test]
fn the_server_certificate_is_valid_for_its_hosts_only() {
    let files = Files::issued();
    let verify = |option, value| ["verify", "-x509_strict", "-CAfile", "ca.pem", option, value, "server.pem"];
    for name in ["files.example.org", "nas.local"] {
        files.succeeds(&verify("-verify_hostname", name));
    }
    for address in ["192.0.2.7", "2001:db8::7"] {
        files.succeeds(&verify("-verify_ip", address));
    }
    let said = files.fails(&verify("-verify_hostname", "example.org"));
    assert!(said.contains("hostname mismatch"), "{said}");
    let said = files.fails(&verify("-verify_ip", "192.0.2.8"));
    assert!(said.contains("IP address mismatch"), "{said}");
}

#[test]
fn the_text_shows_who_it_is() {
    let files = Files::issued();
    let text = files.succeeds(&["x509", "-noout", "-text", "-nameopt", "RFC2253", "-in", "user.pem"]);
    for line in [
        "URI:spiffe://files.example.org/user/alice\n",
        "Issuer: CN=Sealift CA files.example.org\n",
        "Subject: CN=alice\n",
        "TLS Web Client Authentication\n",
        "CA:FALSE\n",
        "X509v3 Authority Key Identifier:",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let text = files.succeeds(&["x509", "-noout", "-text", "-in", "ca.pem"]);
    for line in ["URI:spiffe://files.example.org\n", "CA:TRUE, pathlen:0\n", "Certificate Sign, CRL Sign\n"] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn the_fingerprint_is_the_one_that_openssl_prints() {
    let files = Files::issued();
    let printed = files.succeeds(&["x509", "-noout", "-fingerprint", "-sha256", "-in", "ca.pem"]);
    let (_, colons) = printed.trim().split_once('=').unwrap();
    assert_eq!(colons.replace(':', "").to_lowercase(), files.world.authority.fingerprint().to_string());
}

#[test]
fn requests_and_keys_are_readable() {
    let files = Files::issued();
    let made = new_key_and_request().unwrap();
    files.write("request.pem", &made.csr_pem);
    files.write("request.key", &made.key_pem);
    let text = files.succeeds(&["req", "-verify", "-noout", "-text", "-in", "request.pem"]);
    assert!(text.contains("self-signature verify OK"), "{text}");
    assert!(text.lines().any(|line| line.trim() == "Subject:") && text.contains("prime256v1"), "{text}");
    for key in ["request.key", "ca.key", "server.key"] {
        files.succeeds(&["pkey", "-check", "-noout", "-in", key]);
    }
}

#[test]
fn requests_of_openssl_are_accepted() {
    let files = Files::issued();
    let name = "bob".parse().unwrap();
    for kind in [&["EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..], &["ED25519"]] {
        files.succeeds(&[&["genpkey", "-out", "bob.key", "-algorithm"], kind].concat());
        let greedy =
            ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "nameConstraints=permitted;DNS:a"];
        let new = ["req", "-new", "-key", "bob.key", "-subj", "/CN=root/O=x", "-out", "bob.csr"];
        files.succeeds(&[&new[..], &greedy].concat());
        let request = files.read("bob.csr");
        let issued = files.world.authority.issue_user(&request, &name, files.world.current()).unwrap();
        files.write("bob.pem", &issued.pem);
        files.succeeds(&["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "ca.pem", "bob.pem"]);

        let client = sealift_certs::tls::client_config(
            files.world.authority.certificate_pem(),
            &issued.pem,
            &files.read("bob.key"),
        );
        files.world.handshake(&client.unwrap(), &files.world.server()).established();
    }
    files.succeeds(&[
        "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "k", "-subj", "/", "-out", "rsa.csr",
    ]);
    let error =
        files.world.authority.issue_user(&files.read("rsa.csr"), &name, files.world.current()).unwrap_err();
    assert_eq!(error.to_string(), RequestError::Key.to_string());
}

#[test]
fn an_authority_of_openssl_can_be_used() {
    let files = Files::issued();
    // The second is in the older SEC 1 form, "EC PRIVATE KEY"; the third is what corporate CAs still are.
    files.succeeds(&[
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-384",
        "-out",
        "pkcs8.key",
    ]);
    files.succeeds(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sec1.key"]);
    files.succeeds(&["genpkey", "-algorithm", "RSA", "-out", "rsa.key"]);
    for key in ["pkcs8.key", "sec1.key", "rsa.key"] {
        let extensions = [
            "-addext",
            "subjectAltName=URI:spiffe://corp.example",
            "-addext",
            "keyUsage=critical,keyCertSign",
        ];
        let new = [
            "req",
            "-x509",
            "-new",
            "-key",
            key,
            "-subj",
            "/O=Corp/CN=Root",
            "-days",
            "30",
            "-out",
            "own.pem",
        ];
        files.succeeds(&[&new[..], &extensions].concat());

        let authority = Authority::from_pem(&files.read("own.pem"), &files.read(key)).unwrap();
        assert_eq!(authority.trust_domain(), &"corp.example".parse::<TrustDomain>().unwrap());
        files.write("again.key", authority.key_pem());
        files.succeeds(&["pkey", "-check", "-noout", "-in", "again.key"]);

        let world = World { authority, now: files.world.now };
        let alice = world.user("alice", world.current());
        assert_eq!(alice.0.validity.not_after, world.authority.validity().not_after);
        files.write("alice.pem", &alice.0.pem);
        files.succeeds(&[
            "verify",
            "-x509_strict",
            "-purpose",
            "sslclient",
            "-CAfile",
            "own.pem",
            "alice.pem",
        ]);
        let (_, server) = world.handshake(&world.client(&alice), &world.server()).established();
        let identity = Identity::of_certificate(&server.peer_certificates().unwrap()[0]).unwrap();
        assert_eq!(identity.to_string(), "spiffe://corp.example/user/alice");
    }
}

/// A directory with the PEM files of an authority, a user and a server, and an unrelated authority.
struct Files {
    directory: TempDir,
    world: World,
}

impl Files {
    fn issued() -> Self {
        let world = World::named("files.example.org".parse().unwrap());
        let files = Self { directory: tempfile::tempdir().unwrap(), world };
        let (user, user_key) = files.world.user("alice", files.world.current());
        let hosts = ["nas.local", "192.0.2.7", "2001:db8::7"].map(str::to_owned);
        let (server, server_key) = files.world.authority.issue_server(&hosts, files.world.current()).unwrap();
        let other = World::new().authority;
        let authority = &files.world.authority;
        for (name, text) in [
            ("ca.pem", authority.certificate_pem()),
            ("ca.key", authority.key_pem()),
            ("user.pem", &user.pem),
            ("user.key", &user_key),
            ("server.pem", &server.pem),
            ("server.key", &server_key),
            ("other.pem", other.certificate_pem()),
            ("other.key", other.key_pem()),
        ] {
            files.write(name, text);
        }
        files
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    /// Runs `openssl`, which must succeed, and returns all that it says.
    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = said(&output);
        assert!(output.status.success(), "openssl {arguments:?}: {said}");
        said
    }

    /// Runs `openssl`, which must fail, and returns all that it says.
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = said(&output);
        assert!(!output.status.success(), "openssl {arguments:?} should have failed: {said}");
        said
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = Command::new("openssl").args(arguments).current_dir(self.directory.path()).output();
        output.expect("this test needs the openssl command: install the package openssl")
    }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}
