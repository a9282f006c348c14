//! The help texts. A change of them is a decision.

use insta::assert_snapshot;
use sealift_tests::Computer;

use crate::SEALIFT;

#[tokio::test]
async fn of_the_program() {
    let computer = Computer::new(SEALIFT);
    let help = computer.run(["--help"]).await.ok();
    assert_eq!(help.stderr, "");
    assert_snapshot!(help.text(), @r#"
    Move files to and from a Sealift server.

    Every transfer is encrypted, verified on both ends, and durable on the server before it is reported
    as done. Paths on the server are inside your own space, as in docs/plan.pdf; /NAME/docs/plan.pdf is
    in the space NAME. A colon in front, as in :docs/plan.pdf, says that a path is on the server, and
    has to where both could be meant.

    Usage: sealift [OPTIONS] <COMMAND>

    Commands:
      join     Join a server with a token from its administrator
      put      Store files and directories on the server [alias: upload]
      get      Fetch files and directories from the server [alias: download]
      sync     Make a directory equal to another one, on the server or here
      ls       List a directory [alias: list]
      info     Show what the server knows about paths [alias: stat]
      rm       Delete files and directories on the server [alias: delete]
      mv       Move or rename a file or a directory on the server
      cp       Copy a file or a directory on the server
      log      Show the transfer log, newest first
      whoami   Show who you are on the server, and what you may do there
      renew    Renew this computer's certificate now
      profile  List, select, rename and remove the saved profiles
      clean    Remove what interrupted downloads left on this computer
      help     Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Options of every command:
          --profile <NAME>
              Which saved profile to use [env: SEALIFT_PROFILE]

          --server <ADDR:PORT>
              Reach the profile's server by this address instead; the port may be left out [env:
              SEALIFT_SERVER]

          --json
              Print JSON, one object on each line [env: SEALIFT_JSON]

      -q, --quiet
              Print no progress and no summaries [env: SEALIFT_QUIET]

    Start with the token that `sealiftd invite NAME` prints on the server:
      sealift join TOKEN
      sealift put photo.jpg
      sealift ls -l

    Profiles and config.toml (profile, quiet, json) are in the user's configuration directory for
    programs, under sealift, or in SEALIFT_CONFIG_DIR. A flag counts more than the environment, and
    that more than the file.

    With --json, put, get and sync tell of each file as it ends, twice a second of the progress so far,
    and at the end print a summary.

    Exit codes: 0 done, 1 other failure, 2 usage, 3 not found, 4 not allowed or certificate refused,
    5 integrity mismatch, 6 no space, or too much unfinished, 7 could not connect or timed out,
    8 some of several failed, 130 interrupted.
    "#);
    let version = computer.run(["--version"]).await.ok();
    assert_eq!(version.text(), format!("sealift {}\n", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn of_put() {
    let help = Computer::new(SEALIFT).run(["put", "--help"]).await.ok();
    assert_snapshot!(help.text(), @r#"
    Store files and directories on the server

    The last of several paths is the destination; a single one goes to the root of your own space. A
    destination that ends in / or is a directory receives files under their own names, and so does any
    destination of several files. A directory is stored with all that is in it, under its own name; with
    a / behind it, only what is in it is. What the server has already is not sent again. Files are
    stored when the command ends: not even a power cut on the server loses them then.

    Usage: sealift put [OPTIONS] SRC... [DEST]
           sealift put [OPTIONS] --stdin-from-command DEST -- COMMAND...

    Arguments:
      [PATH]...
              Local files, or - for standard input; then where to, on the server

      [COMMAND]...
              The command of --stdin-from-command with its arguments; else further paths, which may
              begin with -

    Options:
          --stdin-from-command <DEST>
              Run the command behind --, and store what it prints as DEST if it succeeds

          --allow-empty
              Let an empty standard input replace a file that is not empty

      -u, --update
              Leave files alone that are newer where they would be replaced

      -n, --dry-run
              Say what would be done, and change nothing

          --allow-changing
              Store files that are being written to as they are read, up to the length that they had

      -h, --help
              Print help (see a summary with '-h')

    Directories:
          --exclude <PATTERN>
              Leave out what matches a pattern, as in a .gitignore at the top of the tree; may be
              repeated

          --include <PATTERN>
              Bring back what matches, although an --exclude leaves it out; may be repeated

          --exclude-from <FILE>
              Leave out what the patterns in a file say, one on each line

          --links
              Transfer symbolic links in directories as links, instead of skipping them; one that is
              named is followed

    Connections:
          --connections <NUMBER>
              Share many files, or a large one, among up to so many connections [default: 2 if it helps]

          --limit-rate <RATE>
              Move at most so many bytes in a second, such as 500K or 2M; 1K at least

          --retries <NUMBER>
              After a lost connection, try so often in vain before giving up [default: 6]

    Options of every command:
          --profile <NAME>
              Which saved profile to use [env: SEALIFT_PROFILE]

          --server <ADDR:PORT>
              Reach the profile's server by this address instead; the port may be left out [env:
              SEALIFT_SERVER]

          --json
              Print JSON, one object on each line [env: SEALIFT_JSON]

      -q, --quiet
              Print no progress and no summaries [env: SEALIFT_QUIET]

    Examples:
      sealift put report.pdf                  as report.pdf in your own space
      sealift put report.pdf docs/            as docs/report.pdf
      sealift put a.pdf :b.pdf                as b.pdf, also where b.pdf is a local file, too
      sealift put a.jpg b.jpg photos/         several files
      sealift put *.jpg ./                    several files into your own space
      sealift put photos                      a directory, as photos/ in your own space
      sealift put photos/ /team/2026/         what is in it, into /team/2026/
      sealift put --exclude '*.tmp' src work/ a directory without some of its files
      sealift put --exclude '*' --include '*/' --include '*.jpg' photos   the pictures of a whole tree
      sealift put -n photos /team/            what would be stored, nothing else
      sealift put -u photos /team/            but what is newer there
      sealift put report.pdf /team/2026.pdf   into the space `team`, under another name
      sealift put --stdin-from-command shop.sql -- pg_dump shop
                                              what a command prints, if it succeeds
      zcat a.gz | sealift put - a             from standard input

    A pipe hides that the command before it failed, unless the shell is told otherwise with `set -o
    pipefail`; and then what it printed until then is stored all the same. --stdin-from-command stores
    nothing of a command that fails.
    "#);
}

#[tokio::test]
async fn of_sync() {
    let help = Computer::new(SEALIFT).run(["sync", "--help"]).await.ok();
    assert_snapshot!(help.text(), @r#"
    Make a directory equal to another one, on the server or here

    A colon marks the server's side, and exactly one side has it: :docs is docs in your own space,
    :/team/docs is in the space `team`, and : alone is your own space. What is in SRC goes into DEST,
    with or without a / at its end, and DEST is made if it is missing. Only what differs in size or time
    of modification is transferred, and what DEST has under another name already, because it was moved
    or renamed, is not.

    What only DEST has stays, unless --delete is given. It goes when everything else was done without a
    failure. What is excluded is neither transferred nor deleted, and without --links that goes for
    symbolic links, too.

    Usage: sealift sync [OPTIONS] <SRC> <DEST>

    Arguments:
      <SRC>
              The directory that is to be copied, with a colon in front if it is on the server

      <DEST>
              The directory that is to become equal to it, with a colon in front if it is on the server

    Options:
          --delete
              Delete what only DEST has, unless that is more than half of it

          --delete-anyway
              Delete what only DEST has, however much that is

      -c, --checksum
              Compare contents, not times of modification

          --allow-changing
              Store files that are being written to as they are read, up to the length that they had

      -n, --dry-run
              Say what would be done, and change nothing

      -h, --help
              Print help (see a summary with '-h')

    Directories:
          --exclude <PATTERN>
              Leave out what matches a pattern, as in a .gitignore at the top of the tree; may be
              repeated

          --include <PATTERN>
              Bring back what matches, although an --exclude leaves it out; may be repeated

          --exclude-from <FILE>
              Leave out what the patterns in a file say, one on each line

          --links
              Transfer symbolic links in directories as links, instead of skipping them; one that is
              named is followed

    Connections:
          --connections <NUMBER>
              Share many files, or a large one, among up to so many connections [default: 2 if it helps]

          --limit-rate <RATE>
              Move at most so many bytes in a second, such as 500K or 2M; 1K at least

          --retries <NUMBER>
              After a lost connection, try so often in vain before giving up [default: 6]

    Options of every command:
          --profile <NAME>
              Which saved profile to use [env: SEALIFT_PROFILE]

          --server <ADDR:PORT>
              Reach the profile's server by this address instead; the port may be left out [env:
              SEALIFT_SERVER]

          --json
              Print JSON, one object on each line [env: SEALIFT_JSON]

      -q, --quiet
              Print no progress and no summaries [env: SEALIFT_QUIET]

    Examples:
      sealift sync photos :photos             what is in photos here, into photos on the server
      sealift sync :photos photos             the other way round
      sealift sync --delete site :/team/site  and delete what is not here
      sealift sync -n --delete site :site     only say what that would do
      sealift sync --exclude .git . :work     this directory without some of its files
    "#);
}

#[tokio::test]
async fn every_verb_has_one_without_a_profile_or_a_server() {
    let computer = Computer::new(SEALIFT);
    for verb in
        ["join", "put", "get", "sync", "ls", "info", "rm", "mv", "cp", "log", "whoami", "renew", "clean"]
    {
        let help = computer.run([verb, "--help"]).await.ok();
        assert!(help.text().contains(&format!("\n  sealift {verb}")), "an example: {help:?}");
        let asked = computer.run(["help", verb]).await.ok();
        assert_eq!(asked.stdout, help.stdout);
    }
    assert!(!computer.configuration().exists(), "asking leaves no trace");
}

#[tokio::test]
async fn what_is_no_command_line_is_a_usage_error() {
    let computer = Computer::new(SEALIFT);
    for line in
        [&[][..], &["fly"], &["ls", "a", "b"], &["mv", "a"], &["--profile", "A/B", "ls"], &["log", "-n", "x"]]
    {
        let ran = computer.run(line).await.exited(2);
        assert!(
            ran.stdout.is_empty() && ran.stderr.contains("Usage:") || ran.stderr.contains("--help"),
            "{ran:?}"
        );
    }
}
