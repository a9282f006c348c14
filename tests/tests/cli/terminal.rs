//! What is different when a person looks at a terminal.

use std::io::Write;
use std::time::{Duration, Instant};

use sealift_tests::{Computer, Pattern, Running, eventually};

use crate::{MIB, SEALIFT, SEALIFTD, alice};

/// What a terminal was sent, without the carriage returns that it adds itself.
async fn seen(running: Running) -> String {
    running.ended().await.ok().text().replace("\r\n", "\n")
}

#[tokio::test]
async fn names_cannot_play_with_a_terminal() {
    let (_world, alice) = alice().await;
    let name = "exe\u{202e}gpj\u{200b}";
    let shown = "exe\\u{202e}gpj\\u{200b}";
    alice.call(["put", "-", &format!("{name}/{name}")]).input("x").run().await.ok();
    let all = format!("{shown}/\n{shown}/{shown}\n");
    assert_eq!(seen(alice.call(["ls", "-R"]).start_on_terminal()).await, all);
    assert_eq!(alice.run(["ls", "-R"]).await.ok().text(), format!("{name}/\n{name}/{name}\n"));
    for line in [["ls", "-lR"], ["info", name], ["log", name]] {
        let on_terminal = seen(alice.call(line).start_on_terminal()).await;
        assert!(on_terminal.contains(shown) && !on_terminal.contains('\u{202e}'), "{line:?}: {on_terminal}");
        let in_pipe = alice.run(line).await.ok();
        assert!(in_pipe.text().contains(name), "{line:?}: {in_pipe:?}");
    }
    // Standard error is read by people wherever it goes.
    let put = alice.call(["put", "-", name]).input("x").run().await.exited(1);
    assert!(put.stderr.contains(shown) && !put.stderr.contains('\u{202e}'), "{put:?}");
}

#[tokio::test]
async fn sizes_have_units_on_a_terminal_and_are_exact_elsewhere() {
    let (_world, alice) = alice().await;
    alice.call(["put", "-", "a"]).input(vec![0; 1536]).run().await.ok();
    assert!(seen(alice.call(["ls", "-l"]).start_on_terminal()).await.starts_with("- alice 1.5 KiB "));
    assert!(seen(alice.call(["ls", "-lb"]).start_on_terminal()).await.starts_with("- alice 1536 "));
    assert!(alice.run(["ls", "-l"]).await.ok().text().starts_with("- alice 1536 "));
}

#[tokio::test]
async fn a_bar_shows_progress_on_a_terminal_and_is_gone_at_the_end() {
    let (_world, alice) = alice().await;
    let mut running = alice.call(["put", "-", "big"]).start_on_terminal();
    let (mut input, mut sent) = (running.input.take().unwrap(), 0);
    // The bar comes when a transfer takes longer than a moment; this one lasts until it has come.
    eventually("a progress bar", || {
        input.write_all(&[7; 200_000]).unwrap();
        sent += 200_000;
        let printed = running.printed();
        (printed.contains("iB/s") && printed.contains("iB, ")).then_some(())
    })
    .await;
    drop(input);
    let screen = seen(running).await;
    let last = screen.rsplit('\r').next().unwrap().trim_start_matches("\u{1b}[2K");
    assert!(last.starts_with("stored /alice/big ("), "{screen:?}");
    assert!(!screen.contains("\u{1b}[3"), "no colours: {screen:?}");
    let size = alice.run(["--json", "info", "big"]).await.ok().object("info")["size"].clone();
    assert_eq!(size, sent);
}

#[tokio::test]
async fn a_bar_of_several_files_shows_what_is_left_and_what_the_server_had() {
    let (_world, alice) = alice().await;
    alice.write("a", Pattern::new(1, MIB).whole());
    for (number, name) in (2..).zip(["b", "c", "d", "e"]) {
        // None has the size of what the server has: nothing else is compared.
        alice.write(name, Pattern::new(number, MIB + number).whole());
    }
    alice.run(["put", "a", "had"]).await.ok();
    let line = ["put", "--limit-rate", "2M", "a", "b", "c", "d", "e", "to/"];
    let screen = seen(alice.call(line).start_on_terminal()).await;
    assert!(
        screen.contains(" of 5.0 MiB, ") && screen.contains(" files left, 1 skipped (1.0 MiB)"),
        "{screen:?}"
    );
    assert!(screen.ends_with("1 of them was not sent, the server had it\n"), "{screen:?}");
    // A bar that went back when a file was complete would see megabytes cross in no time.
    assert!(!screen.contains("GiB/s"), "{screen:?}");
}

#[tokio::test]
async fn quiet_and_json_have_no_bar_and_neither_has_a_pipe() {
    let (_world, alice) = alice().await;
    let put = |flags: &[&str]| alice.call(flags.iter().copied().chain(["put", "-", "big"]));
    let mut three = [
        put(&["-q"]).start_on_terminal(),
        put(&["--json"]).start_on_terminal(),
        put(&[]).start_with_open_input(),
    ];
    let begun = Instant::now();
    eventually("transfers that last long enough for a bar", || {
        for running in &mut three {
            running.input.as_mut().unwrap().write_all(&[7; 100_000]).unwrap();
        }
        (begun.elapsed() > Duration::from_millis(600)).then_some(())
    })
    .await;
    for mut running in three {
        drop(running.input.take());
        let ran = running.ended().await.ok();
        assert!(!ran.shown().contains('\u{1b}') && !ran.shown().contains("iB, "), "{ran:?}");
    }
}

#[tokio::test]
async fn no_color_is_honoured() {
    let (_world, alice) = alice().await;
    assert!(seen(alice.call(["--help"]).start_on_terminal()).await.contains('\u{1b}'));
    let plain = seen(alice.call(["--help"]).variable("NO_COLOR", "1").start_on_terminal()).await;
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
}

#[tokio::test]
async fn json_cannot_play_with_a_terminal_and_means_the_same() {
    let (_world, alice) = alice().await;
    let name = "exe\u{202e}gpj\u{feff} \u{2069}日本";
    alice.write(name, "x");
    alice.run(["put", name]).await.ok();
    for line in [&["--json", "ls"][..], &["--json", "info", name]] {
        let in_pipe = alice.run(line).await.ok();
        let on_terminal = seen(alice.call(line).start_on_terminal()).await;
        assert!(in_pipe.text().contains(name), "{in_pipe:?}");
        assert!(on_terminal.contains("exe\\u202egpj\\ufeff \\u2069日本"), "{on_terminal}");
        let objects: Vec<serde_json::Value> =
            on_terminal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects, in_pipe.objects());
    }
}

#[tokio::test]
async fn a_download_of_a_directory_has_a_bar_with_a_length() {
    let (_world, alice) = alice().await;
    for number in 0..4 {
        alice.write(format!("d/{number}"), Pattern::new(number, MIB).whole());
    }
    alice.run(["put", "d"]).await.ok();
    let screen = seen(alice.call(["get", "--limit-rate", "2M", "d", "to/"]).start_on_terminal()).await;
    assert!(screen.contains("% of 4.0 MiB, ") && screen.contains(" files left"), "{screen:?}");
}

/// What a script passes on may come from anybody, also where it is wrong.
#[tokio::test]
async fn a_wrong_command_line_cannot_play_with_a_terminal() {
    let alice = Computer::new(SEALIFT);
    for evil in [
        "\u{1b}[2J",
        "\u{9b}31m",
        "\u{7f}",
        "\u{85}",
        "\u{7}",
        "a\nsealift: done",
        "\u{1b}[31ma\nb",
        "\u{202e}gpj",
    ] {
        let flag = format!("--{evil}");
        let value = format!("--server={evil}");
        for line in [
            &["ls", &flag][..],
            &[&flag],
            &[evil],
            &["put", &flag, "a"],
            &[&value, "ls"],
            &["--profile", evil, "ls"],
            &["ls", evil],
            &["ls", "a", evil],
            &["mv", evil, "../x"],
            &["put", "a", &format!("{evil}/../b")],
            &["put", evil],
            &["get", "a", &format!(":{evil}")],
            &["join", evil],
            &["sync", evil, evil],
            &["put", "--stdin-from-command", "x", evil],
            &["profile", "use", evil],
        ] {
            for flags in [&[][..], &["--json"]] {
                let ran = alice.run(flags.iter().chain(line)).await;
                harmless(&ran.stderr, evil, &format!("{flags:?} {line:?}"), flags.is_empty());
            }
        }
        for line in [
            &["serve", &flag][..],
            &[evil],
            &["grant", evil, "alice", "all"],
            &["grant", "alice", "alice", evil],
            &["serve", "--listen", evil],
            &["config", "check", "--config", evil],
            &["check", "--data", evil],
        ] {
            let ran = alice.call_other(SEALIFTD, line).run().await;
            harmless(&ran.stderr, evil, &format!("sealiftd {line:?}"), true);
        }
    }
}

/// Nothing of what could do harm is there, neither of a text nor of anything else.
#[track_caller]
fn harmless(said: &str, evil: &str, line: &str, is_for_people: bool) {
    assert!(!said.is_empty(), "{line}");
    // JSON that goes to a program has its own way, and only control characters below 32 escaped.
    let is_raw = |c: char| if is_for_people { c.is_control() && c != '\n' } else { c < ' ' && c != '\n' };
    assert!(!said.contains(is_raw), "{line}: {said:?}");
    assert!(!said.contains(evil) || !is_for_people, "{line}: {said:?}");
}
