# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sealiftd_global_optspecs
    string join \n h/help V/version
end

function __fish_sealiftd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sealiftd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sealiftd_using_subcommand
    set -l cmd (__fish_sealiftd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sealiftd -n "__fish_sealiftd_needs_command" -s h -l help -d 'Print help'
complete -c sealiftd -n "__fish_sealiftd_needs_command" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_needs_command" -f -a "serve" -d 'Runs the server, in the foreground, until it is told to stop by SIGTERM or Ctrl-C'
complete -c sealiftd -n "__fish_sealiftd_needs_command" -f -a "init" -d 'Makes a data directory: catalog, certificate authority, room for blobs. `serve` does it, too, when needed'
complete -c sealiftd -n "__fish_sealiftd_needs_command" -f -a "invite" -d 'Invites a machine: prints a token that `sealift join TOKEN` takes there, once, until it expires'
complete -c sealiftd -n "__fish_sealiftd_needs_command" -f -a "identities" -d 'Lists who may connect: name, state, certificates in use, and when the last of them expires'
complete -c sealiftd -n "__fish_sealiftd_needs_command" -f -a "revoke" -d 'Shuts an identity out: its certificates and open tokens are void at once, and its open connections end'
complete -c sealiftd -n "__fish_sealiftd_needs_command" -f -a "space" -d 'Makes and lists spaces. Everyone has one of their own; shared ones belong to nobody and open by `grant`'
complete -c sealiftd -n "__fish_sealiftd_needs_command" -f -a "grant" -d 'Sets what somebody may do in a space, instead of what was granted to them before'
complete -c sealiftd -n "__fish_sealiftd_needs_command" -f -a "check" -d 'Looks whether everything that is stored is there and is what was stored: the catalog, and each content\'s bytes'
complete -c sealiftd -n "__fish_sealiftd_needs_command" -f -a "gc" -d 'Removes what nobody needs: files that nothing refers to, half-empty packs, and parts of uploads that are too old'
complete -c sealiftd -n "__fish_sealiftd_needs_command" -f -a "backup" -d 'Copies everything to another directory, beside a running server: catalog, contents, and the authority with its keys'
complete -c sealiftd -n "__fish_sealiftd_needs_command" -f -a "config" -d 'Checks and shows the settings'
complete -c sealiftd -n "__fish_sealiftd_needs_command" -f -a "status" -d 'Shows how the server is: connections, transfers and how fast they are, what the store holds, what deduplication saved, how much room is left, and which certificates expire soon'
complete -c sealiftd -n "__fish_sealiftd_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand serve" -l data -d 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand serve" -l config -d 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand serve" -l listen -d 'The address to listen on; port 0 lets the system choose [env: SEALIFTD_LISTEN] [default: [::]:8888, which takes IPv4, too]' -r
complete -c sealiftd -n "__fish_sealiftd_using_subcommand serve" -l address -d 'A name or address under which clients reach this server; goes into its certificate and the tokens. Repeatable [env: SEALIFTD_ADDRESSES, separated by commas]' -r
complete -c sealiftd -n "__fish_sealiftd_using_subcommand serve" -l metrics -d 'Tells what the server measures to Prometheus, at http://ADDR:PORT/metrics; without an address at 127.0.0.1:9188 [env: SEALIFTD_METRICS_LISTEN] [default: nowhere]' -r
complete -c sealiftd -n "__fish_sealiftd_using_subcommand serve" -l log -d 'How events are written [env: SEALIFTD_LOG]' -r -f -a "text\t'Lines for people'
json\t'One JSON object on each line'"
complete -c sealiftd -n "__fish_sealiftd_using_subcommand serve" -l log-level -d 'Which events are written: a level, or directives as in info,sealift_server=debug [env: SEALIFTD_LOG_LEVEL, or else RUST_LOG] [default: info]' -r
complete -c sealiftd -n "__fish_sealiftd_using_subcommand serve" -l read-only -d 'Serves without a change to the data directory, as for a drill on a backup: uploads, deletions and new machines are refused [env: SEALIFTD_READ_ONLY]'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand serve" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand init" -l data -d 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand init" -l config -d 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand init" -s h -l help -d 'Print help'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand init" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand invite" -l ttl -d 'How long the token can be used: a number with s, m, h or d [default: 1h, or `invitations.lifetime`]' -r
complete -c sealiftd -n "__fish_sealiftd_using_subcommand invite" -l address -d 'A name or address under which that machine reaches this server [default: as the server found out]. Repeatable' -r
complete -c sealiftd -n "__fish_sealiftd_using_subcommand invite" -l data -d 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand invite" -l config -d 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand invite" -l json -d 'Print a JSON object with the token, and what names the invitation'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand invite" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand invite" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand identities" -l data -d 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand identities" -l config -d 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand identities" -l certificates -d 'List certificates, one by one'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand identities" -l all -d 'With --certificates: those that have expired or are revoked, too'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand identities" -l invitations -d 'List invitations that are still open'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand identities" -l json -d 'One JSON object on each line'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand identities" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand identities" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand revoke" -l certificate -d 'First digits of a certificate\'s fingerprint, as `sealiftd identities --certificates` lists it' -r
complete -c sealiftd -n "__fish_sealiftd_using_subcommand revoke" -l invitation -d 'First digits of an open invitation, as `sealiftd identities --invitations` lists it' -r
complete -c sealiftd -n "__fish_sealiftd_using_subcommand revoke" -l data -d 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand revoke" -l config -d 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand revoke" -l json -d 'One JSON object'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand revoke" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and not __fish_seen_subcommand_from add list help" -s h -l help -d 'Print help'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and not __fish_seen_subcommand_from add list help" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and not __fish_seen_subcommand_from add list help" -f -a "add" -d 'Makes a shared space, which nobody has a right on yet'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and not __fish_seen_subcommand_from add list help" -f -a "list" -d 'Lists all spaces with their owners and grants'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and not __fish_seen_subcommand_from add list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and __fish_seen_subcommand_from add" -l data -d 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and __fish_seen_subcommand_from add" -l config -d 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and __fish_seen_subcommand_from add" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and __fish_seen_subcommand_from list" -l data -d 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and __fish_seen_subcommand_from list" -l config -d 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and __fish_seen_subcommand_from list" -l json -d 'One JSON object on each line'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and __fish_seen_subcommand_from help" -f -a "add" -d 'Makes a shared space, which nobody has a right on yet'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and __fish_seen_subcommand_from help" -f -a "list" -d 'Lists all spaces with their owners and grants'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand space; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand grant" -l data -d 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand grant" -l config -d 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand grant" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand grant" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand check" -l data -d 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand check" -l config -d 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand check" -l quick -d 'Look whether the files are there and have their size, without reading them'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand check" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand gc" -l data -d 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand gc" -l config -d 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand gc" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand gc" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand backup" -l data -d 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand backup" -l config -d 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand backup" -l verify -d 'Read every file that the backup has already, and replace the damaged ones'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand backup" -l json -d 'One JSON object'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand backup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand backup" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and not __fish_seen_subcommand_from check show help" -s h -l help -d 'Print help'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and not __fish_seen_subcommand_from check show help" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and not __fish_seen_subcommand_from check show help" -f -a "check" -d 'Says OK, or all that is wrong with the configuration file and the environment'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and not __fish_seen_subcommand_from check show help" -f -a "show" -d 'Prints the settings in force as a configuration file would have them, with where each comes from'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and not __fish_seen_subcommand_from check show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and __fish_seen_subcommand_from check" -l data -d 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and __fish_seen_subcommand_from check" -l config -d 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and __fish_seen_subcommand_from show" -l data -d 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and __fish_seen_subcommand_from show" -l config -d 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "check" -d 'Says OK, or all that is wrong with the configuration file and the environment'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "show" -d 'Prints the settings in force as a configuration file would have them, with where each comes from'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand status" -l data -d 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand status" -l config -d 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]' -r -F
complete -c sealiftd -n "__fish_sealiftd_using_subcommand status" -l json -d 'One JSON object'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand status" -s V -l version -d 'Print version'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and not __fish_seen_subcommand_from serve init invite identities revoke space grant check gc backup config status help" -f -a "serve" -d 'Runs the server, in the foreground, until it is told to stop by SIGTERM or Ctrl-C'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and not __fish_seen_subcommand_from serve init invite identities revoke space grant check gc backup config status help" -f -a "init" -d 'Makes a data directory: catalog, certificate authority, room for blobs. `serve` does it, too, when needed'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and not __fish_seen_subcommand_from serve init invite identities revoke space grant check gc backup config status help" -f -a "invite" -d 'Invites a machine: prints a token that `sealift join TOKEN` takes there, once, until it expires'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and not __fish_seen_subcommand_from serve init invite identities revoke space grant check gc backup config status help" -f -a "identities" -d 'Lists who may connect: name, state, certificates in use, and when the last of them expires'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and not __fish_seen_subcommand_from serve init invite identities revoke space grant check gc backup config status help" -f -a "revoke" -d 'Shuts an identity out: its certificates and open tokens are void at once, and its open connections end'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and not __fish_seen_subcommand_from serve init invite identities revoke space grant check gc backup config status help" -f -a "space" -d 'Makes and lists spaces. Everyone has one of their own; shared ones belong to nobody and open by `grant`'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and not __fish_seen_subcommand_from serve init invite identities revoke space grant check gc backup config status help" -f -a "grant" -d 'Sets what somebody may do in a space, instead of what was granted to them before'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and not __fish_seen_subcommand_from serve init invite identities revoke space grant check gc backup config status help" -f -a "check" -d 'Looks whether everything that is stored is there and is what was stored: the catalog, and each content\'s bytes'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and not __fish_seen_subcommand_from serve init invite identities revoke space grant check gc backup config status help" -f -a "gc" -d 'Removes what nobody needs: files that nothing refers to, half-empty packs, and parts of uploads that are too old'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and not __fish_seen_subcommand_from serve init invite identities revoke space grant check gc backup config status help" -f -a "backup" -d 'Copies everything to another directory, beside a running server: catalog, contents, and the authority with its keys'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and not __fish_seen_subcommand_from serve init invite identities revoke space grant check gc backup config status help" -f -a "config" -d 'Checks and shows the settings'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and not __fish_seen_subcommand_from serve init invite identities revoke space grant check gc backup config status help" -f -a "status" -d 'Shows how the server is: connections, transfers and how fast they are, what the store holds, what deduplication saved, how much room is left, and which certificates expire soon'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and not __fish_seen_subcommand_from serve init invite identities revoke space grant check gc backup config status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and __fish_seen_subcommand_from space" -f -a "add" -d 'Makes a shared space, which nobody has a right on yet'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and __fish_seen_subcommand_from space" -f -a "list" -d 'Lists all spaces with their owners and grants'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "check" -d 'Says OK, or all that is wrong with the configuration file and the environment'
complete -c sealiftd -n "__fish_sealiftd_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "show" -d 'Prints the settings in force as a configuration file would have them, with where each comes from'
