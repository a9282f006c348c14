
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'sealiftd' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'sealiftd'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'sealiftd' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Runs the server, in the foreground, until it is told to stop by SIGTERM or Ctrl-C')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Makes a data directory: catalog, certificate authority, room for blobs. `serve` does it, too, when needed')
            [CompletionResult]::new('invite', 'invite', [CompletionResultType]::ParameterValue, 'Invites a machine: prints a token that `sealift join TOKEN` takes there, once, until it expires')
            [CompletionResult]::new('identities', 'identities', [CompletionResultType]::ParameterValue, 'Lists who may connect: name, state, certificates in use, and when the last of them expires')
            [CompletionResult]::new('revoke', 'revoke', [CompletionResultType]::ParameterValue, 'Shuts an identity out: its certificates and open tokens are void at once, and its open connections end')
            [CompletionResult]::new('space', 'space', [CompletionResultType]::ParameterValue, 'Makes and lists spaces. Everyone has one of their own; shared ones belong to nobody and open by `grant`')
            [CompletionResult]::new('grant', 'grant', [CompletionResultType]::ParameterValue, 'Sets what somebody may do in a space, instead of what was granted to them before')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Looks whether everything that is stored is there and is what was stored: the catalog, and each content''s bytes')
            [CompletionResult]::new('gc', 'gc', [CompletionResultType]::ParameterValue, 'Removes what nobody needs: files that nothing refers to, half-empty packs, and parts of uploads that are too old')
            [CompletionResult]::new('backup', 'backup', [CompletionResultType]::ParameterValue, 'Copies everything to another directory, beside a running server: catalog, contents, and the authority with its keys')
            [CompletionResult]::new('config', 'config', [CompletionResultType]::ParameterValue, 'Checks and shows the settings')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Shows how the server is: connections, transfers and how fast they are, what the store holds, what deduplication saved, how much room is left, and which certificates expire soon')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'sealiftd;serve' {
            [CompletionResult]::new('--data', '--data', [CompletionResultType]::ParameterName, 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]')
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'The address to listen on; port 0 lets the system choose [env: SEALIFTD_LISTEN] [default: [::]:8888, which takes IPv4, too]')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'A name or address under which clients reach this server; goes into its certificate and the tokens. Repeatable [env: SEALIFTD_ADDRESSES, separated by commas]')
            [CompletionResult]::new('--metrics', '--metrics', [CompletionResultType]::ParameterName, 'Tells what the server measures to Prometheus, at http://ADDR:PORT/metrics; without an address at 127.0.0.1:9188 [env: SEALIFTD_METRICS_LISTEN] [default: nowhere]')
            [CompletionResult]::new('--log', '--log', [CompletionResultType]::ParameterName, 'How events are written [env: SEALIFTD_LOG]')
            [CompletionResult]::new('--log-level', '--log-level', [CompletionResultType]::ParameterName, 'Which events are written: a level, or directives as in info,sealift_server=debug [env: SEALIFTD_LOG_LEVEL, or else RUST_LOG] [default: info]')
            [CompletionResult]::new('--read-only', '--read-only', [CompletionResultType]::ParameterName, 'Serves without a change to the data directory, as for a drill on a backup: uploads, deletions and new machines are refused [env: SEALIFTD_READ_ONLY]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'sealiftd;init' {
            [CompletionResult]::new('--data', '--data', [CompletionResultType]::ParameterName, 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'sealiftd;invite' {
            [CompletionResult]::new('--ttl', '--ttl', [CompletionResultType]::ParameterName, 'How long the token can be used: a number with s, m, h or d [default: 1h, or `invitations.lifetime`]')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'A name or address under which that machine reaches this server [default: as the server found out]. Repeatable')
            [CompletionResult]::new('--data', '--data', [CompletionResultType]::ParameterName, 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print a JSON object with the token, and what names the invitation')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'sealiftd;identities' {
            [CompletionResult]::new('--data', '--data', [CompletionResultType]::ParameterName, 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]')
            [CompletionResult]::new('--certificates', '--certificates', [CompletionResultType]::ParameterName, 'List certificates, one by one')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'With --certificates: those that have expired or are revoked, too')
            [CompletionResult]::new('--invitations', '--invitations', [CompletionResultType]::ParameterName, 'List invitations that are still open')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'One JSON object on each line')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'sealiftd;revoke' {
            [CompletionResult]::new('--certificate', '--certificate', [CompletionResultType]::ParameterName, 'First digits of a certificate''s fingerprint, as `sealiftd identities --certificates` lists it')
            [CompletionResult]::new('--invitation', '--invitation', [CompletionResultType]::ParameterName, 'First digits of an open invitation, as `sealiftd identities --invitations` lists it')
            [CompletionResult]::new('--data', '--data', [CompletionResultType]::ParameterName, 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'One JSON object')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'sealiftd;space' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Makes a shared space, which nobody has a right on yet')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'Lists all spaces with their owners and grants')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'sealiftd;space;add' {
            [CompletionResult]::new('--data', '--data', [CompletionResultType]::ParameterName, 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'sealiftd;space;list' {
            [CompletionResult]::new('--data', '--data', [CompletionResultType]::ParameterName, 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'One JSON object on each line')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'sealiftd;space;help' {
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Makes a shared space, which nobody has a right on yet')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'Lists all spaces with their owners and grants')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'sealiftd;space;help;add' {
            break
        }
        'sealiftd;space;help;list' {
            break
        }
        'sealiftd;space;help;help' {
            break
        }
        'sealiftd;grant' {
            [CompletionResult]::new('--data', '--data', [CompletionResultType]::ParameterName, 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'sealiftd;check' {
            [CompletionResult]::new('--data', '--data', [CompletionResultType]::ParameterName, 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]')
            [CompletionResult]::new('--quick', '--quick', [CompletionResultType]::ParameterName, 'Look whether the files are there and have their size, without reading them')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'sealiftd;gc' {
            [CompletionResult]::new('--data', '--data', [CompletionResultType]::ParameterName, 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'sealiftd;backup' {
            [CompletionResult]::new('--data', '--data', [CompletionResultType]::ParameterName, 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'Read every file that the backup has already, and replace the damaged ones')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'One JSON object')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'sealiftd;config' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Says OK, or all that is wrong with the configuration file and the environment')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Prints the settings in force as a configuration file would have them, with where each comes from')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'sealiftd;config;check' {
            [CompletionResult]::new('--data', '--data', [CompletionResultType]::ParameterName, 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'sealiftd;config;show' {
            [CompletionResult]::new('--data', '--data', [CompletionResultType]::ParameterName, 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'sealiftd;config;help' {
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Says OK, or all that is wrong with the configuration file and the environment')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Prints the settings in force as a configuration file would have them, with where each comes from')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'sealiftd;config;help;check' {
            break
        }
        'sealiftd;config;help;show' {
            break
        }
        'sealiftd;config;help;help' {
            break
        }
        'sealiftd;status' {
            [CompletionResult]::new('--data', '--data', [CompletionResultType]::ParameterName, 'The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'One JSON object')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'sealiftd;help' {
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Runs the server, in the foreground, until it is told to stop by SIGTERM or Ctrl-C')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Makes a data directory: catalog, certificate authority, room for blobs. `serve` does it, too, when needed')
            [CompletionResult]::new('invite', 'invite', [CompletionResultType]::ParameterValue, 'Invites a machine: prints a token that `sealift join TOKEN` takes there, once, until it expires')
            [CompletionResult]::new('identities', 'identities', [CompletionResultType]::ParameterValue, 'Lists who may connect: name, state, certificates in use, and when the last of them expires')
            [CompletionResult]::new('revoke', 'revoke', [CompletionResultType]::ParameterValue, 'Shuts an identity out: its certificates and open tokens are void at once, and its open connections end')
            [CompletionResult]::new('space', 'space', [CompletionResultType]::ParameterValue, 'Makes and lists spaces. Everyone has one of their own; shared ones belong to nobody and open by `grant`')
            [CompletionResult]::new('grant', 'grant', [CompletionResultType]::ParameterValue, 'Sets what somebody may do in a space, instead of what was granted to them before')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Looks whether everything that is stored is there and is what was stored: the catalog, and each content''s bytes')
            [CompletionResult]::new('gc', 'gc', [CompletionResultType]::ParameterValue, 'Removes what nobody needs: files that nothing refers to, half-empty packs, and parts of uploads that are too old')
            [CompletionResult]::new('backup', 'backup', [CompletionResultType]::ParameterValue, 'Copies everything to another directory, beside a running server: catalog, contents, and the authority with its keys')
            [CompletionResult]::new('config', 'config', [CompletionResultType]::ParameterValue, 'Checks and shows the settings')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Shows how the server is: connections, transfers and how fast they are, what the store holds, what deduplication saved, how much room is left, and which certificates expire soon')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'sealiftd;help;serve' {
            break
        }
        'sealiftd;help;init' {
            break
        }
        'sealiftd;help;invite' {
            break
        }
        'sealiftd;help;identities' {
            break
        }
        'sealiftd;help;revoke' {
            break
        }
        'sealiftd;help;space' {
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Makes a shared space, which nobody has a right on yet')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'Lists all spaces with their owners and grants')
            break
        }
        'sealiftd;help;space;add' {
            break
        }
        'sealiftd;help;space;list' {
            break
        }
        'sealiftd;help;grant' {
            break
        }
        'sealiftd;help;check' {
            break
        }
        'sealiftd;help;gc' {
            break
        }
        'sealiftd;help;backup' {
            break
        }
        'sealiftd;help;config' {
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Says OK, or all that is wrong with the configuration file and the environment')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Prints the settings in force as a configuration file would have them, with where each comes from')
            break
        }
        'sealiftd;help;config;check' {
            break
        }
        'sealiftd;help;config;show' {
            break
        }
        'sealiftd;help;status' {
            break
        }
        'sealiftd;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
