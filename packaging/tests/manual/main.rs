//! The manual pages and the completions, which are made from the definitions that make `--help`.
//!
//! They are kept in the repository, so that whoever packages needs no program that runs on the target, and so that a
//! change of them is seen in review. This test makes them anew and compares; with `SEALIFT_UPDATE_MANUAL=1` (`just
//! manual`) it writes them.

// A failed expectation is a failed test, and what is skipped is said.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod page;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::CommandFactory;
use clap_complete::{Generator, Shell};

const SHELLS: [Shell; 4] = [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell];

fn programs() -> [(clap::Command, &'static str); 2] {
    [(sealift_client::command_line(), "1"), (sealift_server::command::ServerArguments::command(), "8")]
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files with their content, by their path in this package.
fn files() -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    for (program, section) in programs() {
        let name = program.get_name().to_owned();
        for (file, content) in page::pages(&program, section) {
            files.insert(Path::new("man").join(file), content);
        }
        for shell in SHELLS {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut program.clone(), &name, &mut script);
            let file = Path::new("completions").join(shell.file_name(&name));
            files.insert(file, String::from_utf8(script).unwrap());
        }
    }
    files
}

/// What a directory of this package has in it.
fn found(directory: &str) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(here().join(directory)).unwrap();
    entries.map(move |entry| Path::new(directory).join(entry.unwrap().file_name()))
}

#[test]
fn is_what_the_programs_say() {
    let files = files();
    let surplus = ["man", "completions"].into_iter().flat_map(found).filter(|file| !files.contains_key(file));
    if std::env::var_os("SEALIFT_UPDATE_MANUAL").is_some() {
        surplus.for_each(|file| fs::remove_file(here().join(file)).unwrap());
        files.iter().for_each(|(file, content)| fs::write(here().join(file), content).unwrap());
        return;
    }
    let differs =
        |file: &Path, content: &str| fs::read_to_string(here().join(file)).ok().as_deref() != Some(content);
    let wrong = files.iter().filter(|(file, content)| differs(file, content)).map(|(file, _)| file.clone());
    let wrong: Vec<_> = wrong.chain(surplus).collect();
    assert!(wrong.is_empty(), "run `just manual` and look at the change of {wrong:?}");
}

#[test]
fn has_a_page_for_each_verb_with_its_options_and_examples() {
    let files = files();
    let put = &files[Path::new("man/sealift-put.1")];
    for part in [r"\-\-exclude", r"\-\-profile", ".SH EXAMPLES", "pg_dump shop"] {
        assert!(put.contains(part), "{part} is missing in {put}");
    }
    let overview = &files[Path::new("man/sealift.1")];
    assert!(overview.contains(r"sealift\-put(1)") && overview.contains("EXIT STATUS"), "{overview}");
    assert!(files[Path::new("man/sealiftd.8")].contains(r"sealiftd\-invite(8)"));
    assert!(files.contains_key(Path::new("man/sealiftd-space-add.8")));
}

/// The words of a command line, or nothing where its program is not installed.
fn output(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(here()).env("LC_ALL", "C.UTF-8").env("MANWIDTH", "100");
    match command.stdin(Stdio::null()).output() {
        Ok(ran) => {
            let text = [ran.stdout, ran.stderr].concat();
            Some((ran.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: {program} is not installed here");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

#[test]
fn is_clean_for_man_and_mandoc() {
    for page in found("man") {
        let page = page.to_str().unwrap();
        if let Some((good, text)) = output("mandoc", &["-Tlint", "-Wwarning", page]) {
            // A page that is made has no date: the version says which it is. And clap_mangen breaks lines twice where
            // it lists values.
            let known = ["missing date", "skipping paragraph macro: br "];
            let mut complaints = text.lines().filter(|line| !known.iter().any(|known| line.contains(known)));
            assert!(complaints.next().is_none() && (good || !text.is_empty()), "{text}");
        }
        // Without a manual's reader the container images' `man` is a script that says so.
        if let Some((good, text)) = output("man", &["--warnings", "-l", "-Tutf8", "-P", "cat", page])
            && !text.contains("has been minimized")
        {
            assert!(good && !text.contains("warning"), "{page}: {text}");
            assert!(text.contains(concat!(" ", env!("CARGO_PKG_VERSION"))), "{page}: {text}");
        }
    }
}

#[test]
fn bash_completes_verbs_and_options() {
    let complete = |program: &str, words: &str, last: usize| {
        let script = format!(
            "source completions/{program}.bash; COMP_WORDS=({words}); COMP_CWORD={last}; \
             _{program} {program} \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{last}-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        output("bash", &["--norc", "-c", &script])
    };
    if let Some(put) = complete("sealift", "sealift pu", 1) {
        assert_eq!(put, (true, "put\n".to_owned()));
        assert_eq!(complete("sealift", "sealift put --excl", 2).unwrap().1, "--exclude --exclude-from\n");
        assert_eq!(complete("sealiftd", "sealiftd inv", 1).unwrap().1, "invite\n");
    }
}

#[test]
fn zsh_finds_the_completions() {
    let script = "fpath=(completions); autoload -U +X _sealift _sealiftd && functions _sealift _sealiftd >/dev/null \
                  && head -1 completions/_sealift completions/_sealiftd";
    if let Some((good, text)) = output("zsh", &["-f", "-c", script]) {
        assert!(
            good && text.contains("#compdef sealift\n") && text.contains("#compdef sealiftd\n"),
            "{text}"
        );
    }
}

#[test]
fn fish_completes_verbs_and_options() {
    let script = |line| {
        format!("source completions/sealift.fish; source completions/sealiftd.fish; complete -C '{line}'")
    };
    if let Some((good, text)) = output("fish", &["--no-config", "-c", &script("sealift pu")]) {
        assert!(good && text.starts_with("put\t"), "{text}");
        let (_, text) = output("fish", &["--no-config", "-c", &script("sealiftd invite --tt")]).unwrap();
        assert!(text.starts_with("--ttl\t"), "{text}");
    }
}

#[test]
fn powershell_loads_the_completions() {
    let script = ". ./completions/_sealift.ps1; . ./completions/_sealiftd.ps1; \
                  (TabExpansion2 'sealift pu' 10).CompletionMatches.CompletionText";
    if let Some((good, text)) = output("pwsh", &["-NoProfile", "-Command", script]) {
        assert!(good && text.lines().any(|line| line == "put"), "{text}");
    }
}
