
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'sealift' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'sealift'
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
        'sealift' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('join', 'join', [CompletionResultType]::ParameterValue, 'Join a server with a token from its administrator')
            [CompletionResult]::new('put', 'put', [CompletionResultType]::ParameterValue, 'Store files and directories on the server')
            [CompletionResult]::new('upload', 'upload', [CompletionResultType]::ParameterValue, 'Store files and directories on the server')
            [CompletionResult]::new('get', 'get', [CompletionResultType]::ParameterValue, 'Fetch files and directories from the server')
            [CompletionResult]::new('download', 'download', [CompletionResultType]::ParameterValue, 'Fetch files and directories from the server')
            [CompletionResult]::new('sync', 'sync', [CompletionResultType]::ParameterValue, 'Make a directory equal to another one, on the server or here')
            [CompletionResult]::new('ls', 'ls', [CompletionResultType]::ParameterValue, 'List a directory')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List a directory')
            [CompletionResult]::new('info', 'info', [CompletionResultType]::ParameterValue, 'Show what the server knows about paths')
            [CompletionResult]::new('stat', 'stat', [CompletionResultType]::ParameterValue, 'Show what the server knows about paths')
            [CompletionResult]::new('rm', 'rm', [CompletionResultType]::ParameterValue, 'Delete files and directories on the server')
            [CompletionResult]::new('delete', 'delete', [CompletionResultType]::ParameterValue, 'Delete files and directories on the server')
            [CompletionResult]::new('mv', 'mv', [CompletionResultType]::ParameterValue, 'Move or rename a file or a directory on the server')
            [CompletionResult]::new('cp', 'cp', [CompletionResultType]::ParameterValue, 'Copy a file or a directory on the server')
            [CompletionResult]::new('log', 'log', [CompletionResultType]::ParameterValue, 'Show the transfer log, newest first')
            [CompletionResult]::new('whoami', 'whoami', [CompletionResultType]::ParameterValue, 'Show who you are on the server, and what you may do there')
            [CompletionResult]::new('renew', 'renew', [CompletionResultType]::ParameterValue, 'Renew this computer''s certificate now')
            [CompletionResult]::new('profile', 'profile', [CompletionResultType]::ParameterValue, 'List, select, rename and remove the saved profiles')
            [CompletionResult]::new('clean', 'clean', [CompletionResultType]::ParameterValue, 'Remove what interrupted downloads left on this computer')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'sealift;join' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sealift;put' {
            [CompletionResult]::new('--stdin-from-command', '--stdin-from-command', [CompletionResultType]::ParameterName, 'Run the command behind --, and store what it prints as DEST if it succeeds')
            [CompletionResult]::new('--exclude', '--exclude', [CompletionResultType]::ParameterName, 'Leave out what matches a pattern, as in a .gitignore at the top of the tree; may be repeated')
            [CompletionResult]::new('--include', '--include', [CompletionResultType]::ParameterName, 'Bring back what matches, although an --exclude leaves it out; may be repeated')
            [CompletionResult]::new('--exclude-from', '--exclude-from', [CompletionResultType]::ParameterName, 'Leave out what the patterns in a file say, one on each line')
            [CompletionResult]::new('--connections', '--connections', [CompletionResultType]::ParameterName, 'Share many files, or a large one, among up to so many connections [default: 2 if it helps]')
            [CompletionResult]::new('--limit-rate', '--limit-rate', [CompletionResultType]::ParameterName, 'Move at most so many bytes in a second, such as 500K or 2M; 1K at least')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'After a lost connection, try so often in vain before giving up [default: 6]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('--allow-empty', '--allow-empty', [CompletionResultType]::ParameterName, 'Let an empty standard input replace a file that is not empty')
            [CompletionResult]::new('-u', '-u', [CompletionResultType]::ParameterName, 'Leave files alone that are newer where they would be replaced')
            [CompletionResult]::new('--update', '--update', [CompletionResultType]::ParameterName, 'Leave files alone that are newer where they would be replaced')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--allow-changing', '--allow-changing', [CompletionResultType]::ParameterName, 'Store files that are being written to as they are read, up to the length that they had')
            [CompletionResult]::new('--links', '--links', [CompletionResultType]::ParameterName, 'Transfer symbolic links in directories as links, instead of skipping them; one that is named is followed')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sealift;upload' {
            [CompletionResult]::new('--stdin-from-command', '--stdin-from-command', [CompletionResultType]::ParameterName, 'Run the command behind --, and store what it prints as DEST if it succeeds')
            [CompletionResult]::new('--exclude', '--exclude', [CompletionResultType]::ParameterName, 'Leave out what matches a pattern, as in a .gitignore at the top of the tree; may be repeated')
            [CompletionResult]::new('--include', '--include', [CompletionResultType]::ParameterName, 'Bring back what matches, although an --exclude leaves it out; may be repeated')
            [CompletionResult]::new('--exclude-from', '--exclude-from', [CompletionResultType]::ParameterName, 'Leave out what the patterns in a file say, one on each line')
            [CompletionResult]::new('--connections', '--connections', [CompletionResultType]::ParameterName, 'Share many files, or a large one, among up to so many connections [default: 2 if it helps]')
            [CompletionResult]::new('--limit-rate', '--limit-rate', [CompletionResultType]::ParameterName, 'Move at most so many bytes in a second, such as 500K or 2M; 1K at least')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'After a lost connection, try so often in vain before giving up [default: 6]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('--allow-empty', '--allow-empty', [CompletionResultType]::ParameterName, 'Let an empty standard input replace a file that is not empty')
            [CompletionResult]::new('-u', '-u', [CompletionResultType]::ParameterName, 'Leave files alone that are newer where they would be replaced')
            [CompletionResult]::new('--update', '--update', [CompletionResultType]::ParameterName, 'Leave files alone that are newer where they would be replaced')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--allow-changing', '--allow-changing', [CompletionResultType]::ParameterName, 'Store files that are being written to as they are read, up to the length that they had')
            [CompletionResult]::new('--links', '--links', [CompletionResultType]::ParameterName, 'Transfer symbolic links in directories as links, instead of skipping them; one that is named is followed')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sealift;get' {
            [CompletionResult]::new('--exclude', '--exclude', [CompletionResultType]::ParameterName, 'Leave out what matches a pattern, as in a .gitignore at the top of the tree; may be repeated')
            [CompletionResult]::new('--include', '--include', [CompletionResultType]::ParameterName, 'Bring back what matches, although an --exclude leaves it out; may be repeated')
            [CompletionResult]::new('--exclude-from', '--exclude-from', [CompletionResultType]::ParameterName, 'Leave out what the patterns in a file say, one on each line')
            [CompletionResult]::new('--connections', '--connections', [CompletionResultType]::ParameterName, 'Share many files, or a large one, among up to so many connections [default: 2 if it helps]')
            [CompletionResult]::new('--limit-rate', '--limit-rate', [CompletionResultType]::ParameterName, 'Move at most so many bytes in a second, such as 500K or 2M; 1K at least')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'After a lost connection, try so often in vain before giving up [default: 6]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('-u', '-u', [CompletionResultType]::ParameterName, 'Leave files alone that are newer where they would be replaced')
            [CompletionResult]::new('--update', '--update', [CompletionResultType]::ParameterName, 'Leave files alone that are newer where they would be replaced')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--links', '--links', [CompletionResultType]::ParameterName, 'Transfer symbolic links in directories as links, instead of skipping them; one that is named is followed')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sealift;download' {
            [CompletionResult]::new('--exclude', '--exclude', [CompletionResultType]::ParameterName, 'Leave out what matches a pattern, as in a .gitignore at the top of the tree; may be repeated')
            [CompletionResult]::new('--include', '--include', [CompletionResultType]::ParameterName, 'Bring back what matches, although an --exclude leaves it out; may be repeated')
            [CompletionResult]::new('--exclude-from', '--exclude-from', [CompletionResultType]::ParameterName, 'Leave out what the patterns in a file say, one on each line')
            [CompletionResult]::new('--connections', '--connections', [CompletionResultType]::ParameterName, 'Share many files, or a large one, among up to so many connections [default: 2 if it helps]')
            [CompletionResult]::new('--limit-rate', '--limit-rate', [CompletionResultType]::ParameterName, 'Move at most so many bytes in a second, such as 500K or 2M; 1K at least')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'After a lost connection, try so often in vain before giving up [default: 6]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('-u', '-u', [CompletionResultType]::ParameterName, 'Leave files alone that are newer where they would be replaced')
            [CompletionResult]::new('--update', '--update', [CompletionResultType]::ParameterName, 'Leave files alone that are newer where they would be replaced')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--links', '--links', [CompletionResultType]::ParameterName, 'Transfer symbolic links in directories as links, instead of skipping them; one that is named is followed')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sealift;sync' {
            [CompletionResult]::new('--exclude', '--exclude', [CompletionResultType]::ParameterName, 'Leave out what matches a pattern, as in a .gitignore at the top of the tree; may be repeated')
            [CompletionResult]::new('--include', '--include', [CompletionResultType]::ParameterName, 'Bring back what matches, although an --exclude leaves it out; may be repeated')
            [CompletionResult]::new('--exclude-from', '--exclude-from', [CompletionResultType]::ParameterName, 'Leave out what the patterns in a file say, one on each line')
            [CompletionResult]::new('--connections', '--connections', [CompletionResultType]::ParameterName, 'Share many files, or a large one, among up to so many connections [default: 2 if it helps]')
            [CompletionResult]::new('--limit-rate', '--limit-rate', [CompletionResultType]::ParameterName, 'Move at most so many bytes in a second, such as 500K or 2M; 1K at least')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'After a lost connection, try so often in vain before giving up [default: 6]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('--delete', '--delete', [CompletionResultType]::ParameterName, 'Delete what only DEST has, unless that is more than half of it')
            [CompletionResult]::new('--delete-anyway', '--delete-anyway', [CompletionResultType]::ParameterName, 'Delete what only DEST has, however much that is')
            [CompletionResult]::new('-c', '-c', [CompletionResultType]::ParameterName, 'Compare contents, not times of modification')
            [CompletionResult]::new('--checksum', '--checksum', [CompletionResultType]::ParameterName, 'Compare contents, not times of modification')
            [CompletionResult]::new('--allow-changing', '--allow-changing', [CompletionResultType]::ParameterName, 'Store files that are being written to as they are read, up to the length that they had')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, and change nothing')
            [CompletionResult]::new('--links', '--links', [CompletionResultType]::ParameterName, 'Transfer symbolic links in directories as links, instead of skipping them; one that is named is followed')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sealift;ls' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('-l', '-l', [CompletionResultType]::ParameterName, 'Long: with kind, owner, size and time')
            [CompletionResult]::new('--long', '--long', [CompletionResultType]::ParameterName, 'Long: with kind, owner, size and time')
            [CompletionResult]::new('-R', '-R ', [CompletionResultType]::ParameterName, 'Recursive: with everything below')
            [CompletionResult]::new('--recursive', '--recursive', [CompletionResultType]::ParameterName, 'Recursive: with everything below')
            [CompletionResult]::new('-b', '-b', [CompletionResultType]::ParameterName, 'Sizes in bytes, as they also are where the output is no terminal')
            [CompletionResult]::new('--bytes', '--bytes', [CompletionResultType]::ParameterName, 'Sizes in bytes, as they also are where the output is no terminal')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sealift;list' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('-l', '-l', [CompletionResultType]::ParameterName, 'Long: with kind, owner, size and time')
            [CompletionResult]::new('--long', '--long', [CompletionResultType]::ParameterName, 'Long: with kind, owner, size and time')
            [CompletionResult]::new('-R', '-R ', [CompletionResultType]::ParameterName, 'Recursive: with everything below')
            [CompletionResult]::new('--recursive', '--recursive', [CompletionResultType]::ParameterName, 'Recursive: with everything below')
            [CompletionResult]::new('-b', '-b', [CompletionResultType]::ParameterName, 'Sizes in bytes, as they also are where the output is no terminal')
            [CompletionResult]::new('--bytes', '--bytes', [CompletionResultType]::ParameterName, 'Sizes in bytes, as they also are where the output is no terminal')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sealift;info' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'sealift;stat' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'sealift;rm' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('-r', '-r', [CompletionResultType]::ParameterName, 'Delete directories with all that is in them')
            [CompletionResult]::new('--recursive', '--recursive', [CompletionResultType]::ParameterName, 'Delete directories with all that is in them')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sealift;delete' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('-r', '-r', [CompletionResultType]::ParameterName, 'Delete directories with all that is in them')
            [CompletionResult]::new('--recursive', '--recursive', [CompletionResultType]::ParameterName, 'Delete directories with all that is in them')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sealift;mv' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Replace nothing: fail if the new path is taken')
            [CompletionResult]::new('--no-clobber', '--no-clobber', [CompletionResultType]::ParameterName, 'Replace nothing: fail if the new path is taken')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sealift;cp' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Replace nothing: fail if the new path is taken')
            [CompletionResult]::new('--no-clobber', '--no-clobber', [CompletionResultType]::ParameterName, 'Replace nothing: fail if the new path is taken')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sealift;log' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'The most transfers to show; 0 for all')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'The most transfers to show; 0 for all')
            [CompletionResult]::new('--direction', '--direction', [CompletionResultType]::ParameterName, 'Only this direction')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('--failed', '--failed', [CompletionResultType]::ParameterName, 'Only what failed')
            [CompletionResult]::new('--previews', '--previews', [CompletionResultType]::ParameterName, 'Also files that were only shown, as the desktop client does when one is selected')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sealift;whoami' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'sealift;renew' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sealift;profile' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the profiles with their identities, servers and the end of their certificates')
            [CompletionResult]::new('use', 'use', [CompletionResultType]::ParameterValue, 'Select the profile that is meant when none is named')
            [CompletionResult]::new('rename', 'rename', [CompletionResultType]::ParameterValue, 'Give a profile another name')
            [CompletionResult]::new('remove', 'remove', [CompletionResultType]::ParameterValue, 'Remove a profile with its private key: to come back, this computer needs a new token')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'sealift;profile;list' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'sealift;profile;use' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'sealift;profile;rename' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'sealift;profile;remove' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'sealift;profile;help' {
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the profiles with their identities, servers and the end of their certificates')
            [CompletionResult]::new('use', 'use', [CompletionResultType]::ParameterValue, 'Select the profile that is meant when none is named')
            [CompletionResult]::new('rename', 'rename', [CompletionResultType]::ParameterValue, 'Give a profile another name')
            [CompletionResult]::new('remove', 'remove', [CompletionResultType]::ParameterValue, 'Remove a profile with its private key: to come back, this computer needs a new token')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'sealift;profile;help;list' {
            break
        }
        'sealift;profile;help;use' {
            break
        }
        'sealift;profile;help;rename' {
            break
        }
        'sealift;profile;help;remove' {
            break
        }
        'sealift;profile;help;help' {
            break
        }
        'sealift;clean' {
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'Which saved profile to use [env: SEALIFT_PROFILE]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Reach the profile''s server by this address instead; the port may be left out [env: SEALIFT_SERVER]')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Say what would be removed, and remove nothing')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be removed, and remove nothing')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, one object on each line [env: SEALIFT_JSON]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no progress and no summaries [env: SEALIFT_QUIET]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sealift;help' {
            [CompletionResult]::new('join', 'join', [CompletionResultType]::ParameterValue, 'Join a server with a token from its administrator')
            [CompletionResult]::new('put', 'put', [CompletionResultType]::ParameterValue, 'Store files and directories on the server')
            [CompletionResult]::new('get', 'get', [CompletionResultType]::ParameterValue, 'Fetch files and directories from the server')
            [CompletionResult]::new('sync', 'sync', [CompletionResultType]::ParameterValue, 'Make a directory equal to another one, on the server or here')
            [CompletionResult]::new('ls', 'ls', [CompletionResultType]::ParameterValue, 'List a directory')
            [CompletionResult]::new('info', 'info', [CompletionResultType]::ParameterValue, 'Show what the server knows about paths')
            [CompletionResult]::new('rm', 'rm', [CompletionResultType]::ParameterValue, 'Delete files and directories on the server')
            [CompletionResult]::new('mv', 'mv', [CompletionResultType]::ParameterValue, 'Move or rename a file or a directory on the server')
            [CompletionResult]::new('cp', 'cp', [CompletionResultType]::ParameterValue, 'Copy a file or a directory on the server')
            [CompletionResult]::new('log', 'log', [CompletionResultType]::ParameterValue, 'Show the transfer log, newest first')
            [CompletionResult]::new('whoami', 'whoami', [CompletionResultType]::ParameterValue, 'Show who you are on the server, and what you may do there')
            [CompletionResult]::new('renew', 'renew', [CompletionResultType]::ParameterValue, 'Renew this computer''s certificate now')
            [CompletionResult]::new('profile', 'profile', [CompletionResultType]::ParameterValue, 'List, select, rename and remove the saved profiles')
            [CompletionResult]::new('clean', 'clean', [CompletionResultType]::ParameterValue, 'Remove what interrupted downloads left on this computer')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'sealift;help;join' {
            break
        }
        'sealift;help;put' {
            break
        }
        'sealift;help;get' {
            break
        }
        'sealift;help;sync' {
            break
        }
        'sealift;help;ls' {
            break
        }
        'sealift;help;info' {
            break
        }
        'sealift;help;rm' {
            break
        }
        'sealift;help;mv' {
            break
        }
        'sealift;help;cp' {
            break
        }
        'sealift;help;log' {
            break
        }
        'sealift;help;whoami' {
            break
        }
        'sealift;help;renew' {
            break
        }
        'sealift;help;profile' {
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the profiles with their identities, servers and the end of their certificates')
            [CompletionResult]::new('use', 'use', [CompletionResultType]::ParameterValue, 'Select the profile that is meant when none is named')
            [CompletionResult]::new('rename', 'rename', [CompletionResultType]::ParameterValue, 'Give a profile another name')
            [CompletionResult]::new('remove', 'remove', [CompletionResultType]::ParameterValue, 'Remove a profile with its private key: to come back, this computer needs a new token')
            break
        }
        'sealift;help;profile;list' {
            break
        }
        'sealift;help;profile;use' {
            break
        }
        'sealift;help;profile;rename' {
            break
        }
        'sealift;help;profile;remove' {
            break
        }
        'sealift;help;clean' {
            break
        }
        'sealift;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
